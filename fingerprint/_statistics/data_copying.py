"""Data-copying: do synthetic images lie nearer to the used images than unused ones do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fingerprint._base import checks
from fingerprint._base.checks import InputError
from fingerprint._base.importing import whole
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
        Probability of a statistic this low or lower when synthetic and unused images are equally far, which patients
        are unused being chance. nan without groups: sixty images of six patients are six witnesses.
    closer : float
        Probability that a synthetic image lies nearer to the used images than an unused one of the same cell;
        0.5 = no copying, 1 = every synthetic image is nearer.
    cells : tuple of CopyingCell
        The cells it is made of.
    n_unused_groups : int or None
        Number of patients in these cells, where groups were given.
    """

    z: float
    p_value: float
    closer: float
    cells: tuple[CopyingCell, ...]
    n_unused_groups: int | None = None

    def __str__(self) -> str:
        """Return what the statistic says, and what it does not."""
        if math.isnan(self.z):
            return "The data-copying statistic is not defined: no cell has enough images."
        p = "" if math.isnan(self.p_value) else f", p = {self.p_value:.2g} by patient"
        return (
            f"A synthetic image lies nearer to the used images than an unused one does in {100 * self.closer:.0f} % of "
            f"pairs (data-copying statistic C_T = {self.z:.2f}{p}). Smooth synthetic images do so without copying: "
            "this alone shows no leak."
        )


@public
def data_copying(
    unused_distances: ArrayLike,
    fake_distances: ArrayLike,
    *,
    cells: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
    minimum: int = 20,
    groups: Sequence[Hashable] | None = None,
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
    groups : sequence, optional
        (n,) patient of every unused image. Without it there is no p-value; where each image is of a patient of its own,
        give ``range(n)``.

    Returns
    -------
    Copying
        The statistic; nan where no cell counts, its p-value also where unused images of fewer than two patients do.

    Raises
    ------
    InputError
        If distances are negative or nan, or the cells do not fit.

    Notes
    -----
    Against the paper: the standard deviation allows for ties (without ties it is the paper's), there is no continuity
    correction, and the p-value counts patients. The paper takes all images as independent, so that the variance of C_T
    is the sum of the squared weights. Here it is larger by the design effect: the variance of `closer` that is
    clustered by patient (Obuchowski 1997), over the one that is not, at least 1. The p-value is that of Student's t
    with one degree of freedom less than there are patients.

    A generator whose images are smoother than real ones lies nearer to everything without copying anything: read the
    value beside the audit's, not instead of it.

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
    stdtr = whole("scipy.special").stdtr

    far, near = _distances("unused_distances", unused_distances), _distances("fake_distances", fake_distances)
    least = checks.integer("minimum", minimum, minimum=1)
    if cells is None:
        names: list[Hashable] = ["all"]
        cell = np.zeros(len(near) + len(far), np.int64)
    else:
        others, fakes = checks.pair("cells", cells, len(far), len(near))
        names = list(dict.fromkeys([*fakes, *others]))
        cell = checks.units("cells", [*fakes, *others], len(near) + len(far))
    unit = None if groups is None else checks.units("groups", groups, len(far))
    found, shares, spreads, above = [], [], [], np.full(len(far), math.nan)
    for number, name in enumerate(names):
        inside = cell[len(near) :] == number
        a, b = near[cell[: len(near)] == number], far[inside]
        z, share, spread = math.nan, math.nan, math.nan
        if len(a) and len(b):
            z, share, spread, above[inside] = _mann_whitney(a, b)
        found.append(CopyingCell(name, z, len(b), len(a), len(a) >= least and len(b) > 0))
        shares.append(share)
        spreads.append(spread)
    weights = np.array([one.n_unused if one.counted else 0 for one in found], dtype=np.float64)
    counted = weights > 0
    if not counted.any():
        return Copying(math.nan, math.nan, math.nan, tuple(found), None if unit is None else 0)
    weights /= weights.sum()
    z, closer = (float(weights[counted] @ np.array(each)[counted]) for each in ([one.z for one in found], shares))
    if unit is None:
        return Copying(z, math.nan, closer, tuple(found))
    inside = counted[cell[len(near) :]]
    patients = np.unique(unit[inside], return_inverse=True)[1]
    p_value, last = math.nan, int(patients.max())
    if last > 0:
        of_fakes = float(weights[counted] ** 2 @ np.array(spreads)[counted])
        effect = roc.design_effect(above[inside], patients, of_fakes)
        p_value = float(stdtr(last, z / math.sqrt(float(weights @ weights) * effect)))
    return Copying(z, p_value, closer, tuple(found), last + 1)


def _mann_whitney(near: Floats, far: Floats) -> tuple[float, float, float, Floats]:
    """Return the z of "near exceeds far" with ties, and the probability that near is below far, in parts.

    The parts are the variance of this probability that comes from `near`, and for each of `far` the share of `near`
    below it, of which the probability is the mean.
    """
    m, n = len(near), len(far)
    ranks, ties = roc.midranks(np.concatenate([near, far]))
    u = ranks[:m].sum() - m * (m + 1) / 2
    variance = m * n / 12 * (m + n + 1 - float((ties**3 - ties).sum()) / max((m + n) * (m + n - 1), 1))
    z = (u - m * n / 2) / math.sqrt(variance) if variance > 0 else 0.0
    spread = float(((ranks[:m] - roc.midranks(near)[0]) / n).var()) / max(m - 1, 1)
    return float(z), float(1 - u / (m * n)), spread, (ranks[m:] - roc.midranks(far)[0]) / m


def _distances(argument: str, values: ArrayLike) -> Floats:
    array = checks.vector(argument, values)
    if array.dtype.kind not in "iuf" or not (array >= 0).all():
        raise InputError(f"{argument}: expected distances of at least 0, got {checks.describe(values)}")
    return array.astype(np.float64)
