"""The detector for scikit-learn: its statistics of each real image, and a classifier of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._base import checks, display
from fingerprint._base.checks import InputError
from fingerprint._base.public import public
from fingerprint._images.loading import BLOCK
from fingerprint._statistics import fixed_count, logistic

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from concurrent.futures import Executor
    from os import PathLike
    from typing import Self

    from numpy.typing import ArrayLike

    from fingerprint._answers.one_pass import MaskLike
    from fingerprint._answers.patients import Groups
    from fingerprint._base.types import Array, Grey, OnError
    from fingerprint._images.loading import Source
    from fingerprint._images.symmetries import Symmetries
    from fingerprint._statistics.logistic import Model


@public
def statistics(
    real: Source,
    fake: Source,
    *,
    n_fake: int | None = None,
    population: Source | None = None,
    groups: Groups | None = None,
    mask: MaskLike | None = None,
    symmetries: Symmetries = (),
    size: int | tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    grey: Grey = "exact",
    recursive: bool = False,
    on_error: OnError = "raise",
    block: int = BLOCK,
    memory: str | int | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool | None = None,
) -> Array:
    """Return the statistics that a `Detector` weighs, for a model of your own or for `DetectorClassifier`.

    Parameters
    ----------
    real, fake
        As for `fingerprint.rank`.
    n_fake : int, optional
        Number of synthetic images that the statistics refer to, see `fingerprint.fit`; all by default.
    population, groups, mask, symmetries, size, window, grey, recursive
        As for `fingerprint.rank`.
    on_error : {"raise", "collect"}
        What to do about a file that cannot be used: raise, or leave it out; `load` lists it then.
    block, memory, threads, executor, checkpoint, progress
        As for `fingerprint.rank`.

    Returns
    -------
    ndarray
        (n, n_scales + 1) float64, in the order of `real` and of `Detector.inputs`; higher = more likely used, and a low
        one is no proof that an image was not used.

    Raises
    ------
    InputError
        As `fingerprint.rank`; if `n_fake` is out of range.

    Notes
    -----
    What images have in common is learnt from all real images together, of which no label is known. So they may be
    divided afterwards, as cross-validation does.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    >>> fingerprint.statistics(demo.real, demo.fake).shape
    (24, 3)
    """
    options = ReadingOptions(
        mask=mask,
        symmetries=symmetries,
        size=size,
        window=window,
        grey=grey,
        recursive=recursive,
        on_error=on_error,
        block=block,
        memory=memory,
        threads=threads,
        executor=executor,
        checkpoint=checkpoint,
        progress=progress,
    )
    seen = RealSide.of(real, options, population=population, groups=groups).compare(fake, k=fixed_count.KEPT)
    compared = seen.summary.n_fake
    if n_fake is not None:
        compared = checks.integer("n_fake", n_fake, minimum=fixed_count.FEWER, maximum=compared)
    return fixed_count.inputs(seen.neighbours, compared)


@public
class DetectorClassifier:
    """The logistic regression of `fit`, as scikit-learn has its classifiers; scikit-learn is not needed.

    It works with `clone`, `cross_val_score`, grids and pipelines. It learns what `fit` learns from the same images.

    Parameters
    ----------
    seed : int
        Seed of the folds by which the penalty is chosen.

    Attributes
    ----------
    classes_ : ndarray
        The two labels, unused before used; after `fit`.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=12, n_unused=12, n_fake=60, leak=0.5, size=64)
    >>> values = fingerprint.statistics(demo.real, demo.fake)
    >>> fingerprint.DetectorClassifier().fit(values, demo.used).predict_proba(values).shape
    (24, 2)
    """

    _estimator_type = "classifier"  # which releases of scikit-learn before 1.6 ask for

    classes_: Array
    _model: Model

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __repr__(self) -> str:
        return f"DetectorClassifier(seed={self.seed!r})"

    def _repr_html_(self) -> str:
        return display.facts("DetectorClassifier", self.get_params() | {"fitted": hasattr(self, "classes_")})

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=False),
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Return the parameters by name."""
        return {"seed": self.seed}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, and return the classifier."""
        if unknown := sorted(params.keys() - self.get_params()):
            raise InputError(f"set_params: expected seed alone, got {', '.join(unknown)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fit(self, X: ArrayLike, y: ArrayLike, groups: Sequence[Hashable] | None = None) -> Self:  # noqa: N803
        """Learn the weights.

        Parameters
        ----------
        X : array_like
            (n, n_statistics) of `statistics`.
        y : array_like
            (n,) bool, or integers 0 and 1: 1 = the image was used.
        groups : sequence, optional
            (n,) patient of each image. Patients are then kept together where the penalty is chosen.

        Returns
        -------
        DetectorClassifier
            Itself.

        Raises
        ------
        InputError
            If the lengths differ, a number is not finite, a label is not 0 or 1, or either label has fewer than two
            patients.
        """
        start = checks.integer("seed", self.seed, minimum=0)
        values, labels = _matrix(X), checks.vector("y", y)
        if not checks.binary(labels) or len(labels) != len(values):
            raise InputError(
                f"y: expected one boolean, 0 or 1 for each of the {len(values)} rows of X, got {checks.describe(y)}"
            )
        units = np.arange(len(labels)) if groups is None else checks.units("groups", groups, len(labels))
        used = labels.astype(np.int64)
        if min(len(np.unique(units[used == label])) for label in (0, 1)) < 2:
            raise InputError("y: expected at least two images, or patients, of either label; add some")
        self._model = logistic.learn(values, used, units, start)
        self.classes_ = np.unique(labels)
        return self

    def decision_function(self, X: ArrayLike) -> Array:  # noqa: N803
        """Return the log odds of each row, (n,) float64; higher = more likely used, and a low one is no proof."""
        if not hasattr(self, "_model"):
            raise InputError("DetectorClassifier: expected to be fitted first; call fit")
        values, wanted = _matrix(X), len(self._model.centres)
        if values.shape[1] != wanted:
            raise InputError(f"X: expected {wanted} statistics, as the classifier was fitted on, got {values.shape[1]}")
        return self._model.logits(values)

    def predict_proba(self, X: ArrayLike) -> Array:  # noqa: N803
        """Return the probabilities of unused and of used, (n, 2) float64; higher in the last = more likely used."""
        used = logistic.sigmoid(self.decision_function(X))
        return np.stack([1 - used, used], axis=1)

    def predict(self, X: ArrayLike) -> Array:  # noqa: N803
        """Return the label of each row, (n,): used where the probability is at least one half."""
        used = self.decision_function(X) >= 0
        return np.asarray(self.classes_[used.astype(np.int64)])

    def score(self, X: ArrayLike, y: ArrayLike) -> float:  # noqa: N803
        """Return the share of right labels."""
        return float((self.predict(X) == checks.vector("y", y)).mean())


def _matrix(values: ArrayLike) -> Array:
    found = np.asarray(values)
    if found.ndim != 2 or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise InputError(f"X: expected a matrix of finite numbers, as statistics gives, got {checks.describe(values)}")
    return found.astype(np.float64)
