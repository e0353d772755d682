"""A generator as the source: synthetic images are ranked against while they are made, and never held all at once."""

from collections.abc import Iterator

import numpy as np

import fingerprint
from fingerprint import phantoms

training = phantoms.thorax(15, seed=1, size=128)
unused = phantoms.thorax(15, seed=2, size=128)


def sample(batches: int) -> Iterator[np.ndarray]:
    """Yield batches of synthetic images, as a model would."""
    for seed in range(batches):
        images, _, _ = phantoms.generate(training, 50, seed=seed)
        yield images


ranking = fingerprint.rank([training, unused], sample(8), progress=True)
print(ranking)
