"""Stream: real images against synthetic ones that come batch by batch, as in a training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fingerprint._answers.one_pass import ReadingOptions, RealSide
from fingerprint._answers.rank import ranking_of
from fingerprint._base import checks, display
from fingerprint._base.checks import InputError
from fingerprint._base.public import public
from fingerprint._evidence import engine
from fingerprint._evidence.summary import join
from fingerprint._images.loading import none_usable
from fingerprint._statistics import methods

if TYPE_CHECKING:
    from fingerprint._answers.one_pass import MaskLike
    from fingerprint._answers.patients import Groups
    from fingerprint._answers.ranking import Ranking
    from fingerprint._base.types import Grey
    from fingerprint._images.loading import Source
    from fingerprint._images.symmetries import Symmetries
    from fingerprint._statistics.methods import MethodName


@public
class Stream:
    """Rank real images by synthetic ones that come batch by batch.

    Real images are read and prepared once. A batch is compared when it comes and then let go of, so that memory does
    not grow with their number. Between batches there is a ranking at any time, and `reset` begins anew, for instance
    with the next checkpoint of a model.

    Parameters
    ----------
    real, reference, population, groups, method, k, mask, symmetries, size, window, grey, threads
        As for `fingerprint.rank`.

    Raises
    ------
    InputError
        As `fingerprint.rank`.

    Examples
    --------
    >>> import fingerprint
    >>> demo = fingerprint.phantoms.demo(n_used=4, n_unused=4, n_fake=40, size=64)
    >>> stream = fingerprint.Stream(demo.real)
    >>> for batch in (demo.fake.pixels[:16], demo.fake.pixels[16:]):
    ...     stream.update(batch)
    >>> len(stream), stream.ranking().names == fingerprint.rank(demo.real, demo.fake).names
    (40, True)
    """

    def __init__(
        self,
        real: Source,
        *,
        reference: Source | None = None,
        population: Source | None = None,
        groups: Groups | None = None,
        method: MethodName = "default",
        k: int = 5,
        mask: MaskLike | None = None,
        symmetries: Symmetries = (),
        size: int | tuple[int, int] | None = None,
        window: tuple[float, float] | None = None,
        grey: Grey = "exact",
        threads: int | None = None,
    ) -> None:
        self._k = checks.integer("k", k, minimum=1)
        self._method, self._population = method, population
        self._side = RealSide.of(
            real,
            ReadingOptions(
                mask=mask, symmetries=symmetries, size=size, window=window, grey=grey, threads=threads, progress=False
            ),
            reference=reference,
            population=population,
            groups=groups,
            method=method,
        )
        self._kept = max(self._k, methods.METHODS[method].k)
        self.reset()

    def __len__(self) -> int:
        """Return how many synthetic images there have been."""
        return self._found.n_fake

    def __repr__(self) -> str:
        return f"<Stream: {self._side.n_real} real images, {len(self)} synthetic ones>"

    def _repr_html_(self) -> str:
        return display.facts(self, {"real images": self._side.n_real, "synthetic images": len(self)})

    def reset(self) -> None:
        """Forget all synthetic images; the real ones stay prepared."""
        self._found = engine.begin(self._side.summariser(self._kept)).model

    def update(self, batch: Source) -> None:
        """Compare the real images with a batch of synthetic ones.

        Parameters
        ----------
        batch : as `fake` of `fingerprint.rank`
            An array or a tensor (n, h, w) or (n, 1, h, w), images of Pillow, a batch with labels, paths or a folder.
            Images without a name are named by their place in the stream.

        Raises
        ------
        InputError
            If the batch has no usable image, or its images differ from the real ones in size or depth. What came
            before is kept.
        """
        found = self._side.held(batch, k=self._kept, argument="batch", first=len(self)).kept
        if not found.n_fake:
            raise none_usable(batch, found.settled().failed, argument="batch")
        self._found = join([self._found, found])

    def ranking(self) -> Ranking:
        """Return the ranking by all batches so far.

        Returns
        -------
        Ranking
            What `fingerprint.rank` returns for all of them together. Its evidence cannot be drawn, since the images
            are gone.

        Raises
        ------
        InputError
            If there has been no batch.
        """
        if not len(self):
            raise InputError("stream: expected at least one batch before a ranking, got none; call update")
        seen = self._side.compared(self._found.settled())
        return ranking_of(
            self._side, seen, method=self._method, k=self._k, source=iter(()), population=self._population
        )
