"""Names of images, and the indices that refer to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[Any]


def referenced(names: Sequence[str], indices: Array) -> tuple[tuple[str, ...], Array]:
    """Return the names that are referred to, and the indices into these alone; -1 stays -1."""
    used = np.unique(indices[indices >= 0])
    position = np.full(len(names) + 1, -1, dtype=np.int64)
    position[used] = np.arange(len(used))
    return tuple(names[i] for i in used), position[indices]
