"""Types of arrays and of choices, for annotations. Shape and meaning stand in the docstrings."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Grey: TypeAlias = Literal["exact", "luminance"]  # what is made of colour
OnError: TypeAlias = Literal["collect", "raise"]  # what to do about a file that cannot be used
