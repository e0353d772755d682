"""What it means that two results are the same."""

from dataclasses import fields, is_dataclass

import numpy as np


def assert_same(a, b):
    """All fields that a comparison counts are equal, arrays bit for bit."""
    for field in (field for field in fields(a) if field.compare):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if is_dataclass(one):
            assert_same(one, other)
        elif isinstance(one, np.ndarray):
            assert one.tobytes() == other.tobytes(), field.name
            assert one.dtype == other.dtype
        else:
            assert one == other, field.name
