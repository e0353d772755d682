"""Every compiled function. Kernels check nothing, raise nothing, and own the rows that they write.

    _images ─────▶ unfilter                           rows of PNG files
    _distances ──▶ packing, dot_products, gaps        euclidean, correlation, tiles, manhattan: 16 images a group
                   ssim                               structural similarity
    _patches ────▶ patch_windows, patch_gains         the gains that `rank` adds up
                   patch_products, nearest_patches    the exact search of `patch_matches` and `nearest_patches`
    _evidence ───▶ whitening                          distances after whitening

What they share: `compiler` (how a function is compiled, and for which processor), `cache` (what is compiled, on disk:
an edit of a file or of what it imports from this folder compiles it anew), `ahead` (what a call will need, compiled by
several processes), `llvm` (vectors in the language of LLVM), `layout` and `memory` (how pixels lie). Kernels import
numba, llvmlite and numpy alone. No kernel calls one of another file.

**How a kernel is chosen.** A kernel has one name and one signature, such as `dot_products.dot`. Where it holds vector
instructions it has two forms, `dot_compiled` and `dot_numpy`, and `compiler.chosen` takes one when the file is loaded:
the compiled one, or NumPy where Numba is told not to compile (`NUMBA_DISABLE_JIT=1`). Callers do not choose, but
for the exact search of patches: its vectors have no form in NumPy, and plain loops serve there and for 16-bit images.

**For another processor** a kernel needs no change. The compiled form is one text on vectors of 16 numbers, which LLVM
lowers to whatever the processor has. `llvm` emits a special instruction where LLVM would not find it:

| processor | products of bytes | products of words | differences |
|---|---|---|---|
| AVX-512 with VNNI | vpdpbusd, 512 bits | vpdpwssd, 512 bits | vpsadbw, 512 bits |
| AVX-VNNI | vpdpbusd, 256 bits | vpmaddwd, 256 bits | vpsadbw, 256 bits |
| AVX2 | vpmaddwd, 256 bits | vpmaddwd, 256 bits | vpsadbw, 256 bits |
| x86-64 (SSE2) | pmaddwd, 128 bits | pmaddwd, 128 bits | psadbw, 128 bits |
| ARM64 with i8mm | usdot | general | general |
| ARM64 with dotprod | sdot | general | general |
| any other | general | general | general |

All give the same bits.
"""

import importlib
from importlib.util import find_spec
from typing import Any

from fingerprint._base.importing import in_thread


def __getattr__(name: str) -> Any:
    """Load a file of kernels at its first use, once all that compiling imports is there."""
    if find_spec(f"{__name__}.{name}") is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    in_thread(_prepare)
    return importlib.import_module(f"{__name__}.{name}")


def _prepare() -> None:  # pragma: no cover  (not without a compiler)
    """Import Numba, and what it leaves to the first function that is compiled."""
    importlib.import_module(f"{__name__}.compiler").prepare()
