"""Data-copying: do synthetic images lie nearer to the used images than unused ones do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.public import public
from fingerprint._base.results import Result
from fingerprint._statistics import roc

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

    from fingerprint._base.types import Floats


@public
class CopyingCell(NamedTuple):
    """One cell of the data-copying statistic.

    Parameters
    ----------
    name : hashable
        Name of the cell.
    z : float
        Mann-Whitney z of the cell; negative = synthetic images lie nearer to used images than unused ones do.
    n_unused, n_fake : int
        Images in the cell.
    counted : bool
        Whether the cell has enough synthetic and any unused images to count.
    """

    name: Hashable
    z: float
    n_unused: int
    n_fake: int
    counted: bool


@public
@dataclass(frozen=True, eq=False, repr=False)
class Copying(Result):
    """Result of `data_copying`.

    Parameters
    ----------
    z : float
        The statistic C_T, sign as in the paper: far below 0 = data-copying, about 0 = neither, far above 0 =
        underfitting (the synthetic images lie further from the used images than unused ones do).
    p_value : float
        Probability of a statistic this low or lower when synthetic and unused images are independent and equally far.
    closer : float
        Probability that a synthetic image lies nearer to the used images than an unused one of the same cell;
        0.5 = no copying, 1 = every synthetic image is nearer.
    cells : tuple of CopyingCell
        The cells it is made of.
    """

    z: float
    p_value: float
    closer: float
    cells: tuple[CopyingCell, ...]

    def __str__(self) -> str:
        """Return the statistic in one line."""
        return f"Data-copying statistic C_T = {self.z:.2f} (far below 0: copying), p = {self.p_value:.2g}."


@public
def data_copying(
    unused_distances: ArrayLike,
    fake_distances: ArrayLike,
    *,
    cells: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    minimum: int = 20,
) -> Copying:
    """Return the data-copying statistic C_T: do synthetic images lie nearer to the used images than unused ones do.

    Of each cell, Z_U is the Mann-Whitney U of the distances (pairs in which the synthetic image is the further one, a
    tie counting one half), less its mean and over its standard deviation when nothing differs. C_T is the mean of Z_U
    over the cells with at least `minimum` synthetic images, weighted by their numbers of unused images.

    Parameters
    ----------
    unused_distances : array_like
        (n,) distance of every unused image to its nearest used image (in its cell).
    fake_distances : array_like
        (m,) distance of every synthetic image to its nearest used image (in its cell).
    cells : pair of sequences, optional
        Cell of every unused image (n,) and of every synthetic image (m,), say the nearest of k means of the used
        images. Without, all images lie in one cell, and C_T is Z_U.
    minimum : int
        Synthetic images that a cell needs to count (tau times m in the paper).

    Returns
    -------
    Copying
        The statistic; nan where no cell counts.

    Raises
    ------
    InputError
        If distances are negative or nan, or the cells do not fit.

    Notes
    -----
    Against the paper: the standard deviation allows for ties (without ties it is the paper's), there is no continuity
    correction, and the p-value takes the cells as independent, so that the variance of C_T is the sum of the squared
    weights. Images of one patient are not independent, and a generator whose images are smoother than real ones lies
    nearer to everything without copying anything: read the value beside the audit's, not instead of it.

    References
    ----------
    C. Meehan, K. Chaudhuri, S. Dasgupta: A non-parametric test to detect data-copying in generative models.
    AISTATS 2020.

    Examples
    --------
    >>> import fingerprint
    >>> result = fingerprint.data_copying([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], minimum=1)
    >>> round(result.z, 3), result.closer
    (-1.964, 1.0)
    """
    from scipy.special import ndtr

    far, near = _distances("unused_distances", unused_distances), _distances("fake_distances", fake_distances)
    least = checks.integer("minimum", minimum, minimum=1)
    if cells is None:
        names: list[Hashable] = ["all"]
        cell = np.zeros(len(near) + len(far), np.int64)
    else:
        others, fakes = checks.pair("cells", cells, len(far), len(near))
        names = list(dict.fromkeys([*fakes, *others]))
        cell = checks.units("cells", [*fakes, *others], len(near) + len(far))
    found, shares = [], []
    for number, name in enumerate(names):
        a, b = near[cell[: len(near)] == number], far[cell[len(near) :] == number]
        z, share = _mann_whitney(a, b) if len(a) and len(b) else (math.nan, math.nan)
        found.append(CopyingCell(name, z, len(b), len(a), len(a) >= least and len(b) > 0))
        shares.append(share)
    weights = np.array([one.n_unused if one.counted else 0 for one in found], dtype=np.float64)
    if not weights.any():
        return Copying(math.nan, math.nan, math.nan, tuple(found))
    weights /= weights.sum()
    counted = weights > 0
    z = float(weights[counted] @ np.array([one.z for one in found])[counted])
    p_value = float(ndtr(z / math.sqrt(float(weights @ weights))))
    return Copying(z, p_value, float(weights[counted] @ np.array(shares)[counted]), tuple(found))


def _mann_whitney(near: Floats, far: Floats) -> tuple[float, float]:
    """Return the z of "near exceeds far" with ties, and the probability that near is below far."""
    m, n = len(near), len(far)
    ranks, ties = roc.midranks(np.concatenate([near, far]))
    u = ranks[:m].sum() - m * (m + 1) / 2
    variance = m * n / 12 * (m + n + 1 - float((ties**3 - ties).sum()) / max((m + n) * (m + n - 1), 1))
    z = (u - m * n / 2) / math.sqrt(variance) if variance > 0 else 0.0
    return float(z), float(1 - u / (m * n))


def _distances(argument: str, values: ArrayLike) -> Floats:
    array = checks.vector(argument, values)
    if array.dtype.kind not in "iuf" or not (array >= 0).all():
        raise InputError(f"{argument}: expected distances of at least 0, got {checks.describe(values)}")
    return array.astype(np.float64)
