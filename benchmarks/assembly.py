"""The inner loops of the kernels as this processor, or a lesser one, runs them: python benchmarks/assembly.py [avx2]

Prints how many instructions a loop has, and the most frequent ones. With --loops it prints the loops themselves.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import tempfile

from conftest import FEATURES

PRODUCTS = ("vpdpbusd", "vpdpbusds", "vpmaddwd", "pmaddwd", "usdot", "sdot", "smlal", "mla")


def loops(assembly: str) -> list[list[str]]:
    """Return the straight parts of a function, those with the most products first."""
    parts: list[list[str]] = [[]]
    for line in assembly.splitlines():
        if re.match(r"\.?L\w+:", line):
            parts.append([])
        elif re.match(r"\t[a-z]", line):
            parts[-1].append(line.strip())
    return sorted(parts, key=lambda part: (-sum(count(part)[product] for product in PRODUCTS), -len(part)))


def count(part: list[str]) -> collections.Counter[str]:
    """Count instructions by name."""
    return collections.Counter(line.split()[0] for line in part)


def main() -> None:
    """Compile the kernels anew, as only then their assembly is known, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", nargs="?", choices=FEATURES, default="native")
    parser.add_argument("--loops", action="store_true")
    options = parser.parse_args()
    if (features := FEATURES[options.features]) is not None:
        os.environ |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NUMBA_CACHE_DIR"] = folder
        import numpy as np

        from fingerprint import distances
        from fingerprint._kernels import compiler, dot_products, patch_gains
        from fingerprint._patches import gain_reals, gains

        pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64), np.uint8)
        distances(pixels, pixels)
        gains.summarise_gains(gain_reals.prepare_patches(pixels), pixels, ["a", "b"])
        print(options.features, *sorted(compiler.features() & {"avx2", "avx512vnni", "avxvnni", "dotprod", "i8mm"}))
        for kernel in (dot_products.dot_compiled, patch_gains.sum_gains_compiled):
            (assembly,) = kernel.inspect_asm().values()
            part = loops(assembly)[0]
            most = (f"{n} {name}" for name, n in count(part).most_common(9))
            print(f"{kernel.__name__}: {len(part)} instructions,", *most)
            if options.loops:
                print("\n".join(part))


if __name__ == "__main__":
    main()
