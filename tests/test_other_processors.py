"""Distances and the search for patches give the same bits with whatever vector instructions a processor has."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from fingerprint import distances, nearest_patches, patch_matches, phantoms, rank
from fingerprint._distances import metrics
from fingerprint._kernels import compiler
from fingerprint._patches import gain_reals, gains

AVX2 = "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+lzcnt,+movbe"


def digest() -> str:
    """Return a digest of what is found of real images among synthetic ones."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:130, :128]
    waves = [np.sin(rng.uniform(0, 0.3) * y + rng.uniform(0, 0.3) * x + rng.uniform(0, 6)) for _ in range(9)]
    images = np.clip(128 + 90 * np.array(waves) + rng.normal(0, 6, (9, 130, 128)), 0, 255).astype(np.uint8)
    real, fake = images[:5], images[4:]
    fake[2, 20:90, 10:100] = real[1, 18:88, 13:103]
    fake[3] = real[3, :, ::-1]
    evidence = gains.summarise_gains(gain_reals.prepare_patches(real), fake, list("abcde"), k=3)
    found = nearest_patches(real, fake, mirror=True)
    parts = [evidence.best.values, evidence.counts, found.distances, found.indices, found.offsets]
    parts += [nearest_patches(real, fake, patch_size=7, radius=9).distances, patch_matches(real, fake)]
    parts += [nearest_patches(real, fake, measure="ncc").distances]
    deep = [rng.integers(0, 2**bits, images.shape, np.uint16) for bits in (12, 16)]
    sides = [(real, fake), *((pixels[:5], pixels[4:]) for pixels in deep)]
    parts += [distances(*pair, metric=metric) for pair in sides for metric in metrics.IMAGE_METRICS]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def ranking() -> str:
    """Return a digest of scores of a few phantoms, which C libraries of systems change in the last digit."""
    demo = phantoms.demo(n_used=8, n_unused=8, n_fake=24, size=64)
    found = rank(demo.real, demo.fake)
    return hashlib.sha256(found.scores.round(9).tobytes() + " ".join(found.names).encode()).hexdigest()


@pytest.mark.slow
@pytest.mark.skipif(not compiler.has("x86_64"), reason="of x86-64")
@pytest.mark.parametrize(("needs", "features"), [("sse2", ""), ("avx2", AVX2), ("avxvnni", AVX2 + ",+avxvnni")])
def test_a_processor_with_fewer_features_gives_the_same_bits(needs, features, tmp_path):
    if not compiler.has(needs):
        pytest.skip(f"no {needs} here")
    restricted = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    script = (
        "import test_other_processors as t; from fingerprint._kernels import compiler as c; "
        "print(c.has('avx512f'), c.has('avx2'), t.digest(), t.ranking())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | restricted, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["False", str("avx2" in features), digest(), ranking()]
