"""Real images, and what two generators trained on them wrote: one that leaks and one that does not."""

import numpy as np


def images(n: int, seed: int, size: int = 16) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(0, 255, (n, size // 4, size // 4))
    return np.kron(coarse, np.ones((1, 4, 4))).round().astype(np.uint8)


def blurred(originals: np.ndarray, n: int, seed: int, noise: float = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picked = originals[rng.integers(len(originals), size=n)]
    return np.clip(picked + np.kron(rng.normal(0, noise, (n, 4, 4)), np.ones((1, 4, 4))), 0, 255).astype(np.uint8)


USED, UNUSED = images(30, 1), images(30, 2)
LEAKS, SAFE = blurred(USED, 90, 3), images(90, 4)
