"""Images of smooth random structure, of which patches are cut."""

import numpy as np


def waves(seed, n, height, width, dtype=np.uint8):
    """Return (n, height, width) images on a flat ground, some with parts in common."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    out = np.zeros((n, height, width))
    for image in out:
        for _ in range(6):
            fy, fx, phase = rng.uniform(-0.6, 0.6, 3)
            image += np.sin(fy * y + fx * x + 9 * phase)
        image[:, : width // 4] = 0
    limit = np.iinfo(dtype).max
    return np.clip((0.5 + out / 12) * limit, 0, limit).astype(dtype)
