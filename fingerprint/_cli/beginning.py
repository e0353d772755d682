"""The commands to begin with: the demonstration, and what prepares a machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

import fingerprint
from fingerprint._base.output import printable
from fingerprint._cli import options as shared
from fingerprint._cli.command import Command, Outcome

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _demo_arguments(command: ArgumentParser) -> None:
    command.add_argument("folder", nargs="?", default="demo", metavar="DIR", help="new or empty folder (default: demo)")
    command.add_argument("--seed", type=int, default=0, help="another draw (default: 0)")
    shared.add_threads(command)


def _demo(options: Namespace) -> Outcome:
    folder = Path(options.folder)
    truth = fingerprint.phantoms.write_demo(folder, seed=options.seed)
    ranking = fingerprint.rank(
        folder / "real", folder / "fake", threads=options.threads, progress=shared.progress(options)
    )
    ranking.to_csv(folder / "ranking.csv")
    used = dict(zip(truth.real.names, truth.used.tolist(), strict=True))
    leaked = {truth.real.names[i] for i in truth.source if i >= 0}
    lines = [
        str(ranking),
        "",
        "The truth, which the ranking was not told:",
        "  from rank 1 on, + = used, . = unused: " + "".join("+" if used[name] else "." for name in ranking.names),
        f"  {sum(used.values())} of {len(used)} images were used; the generator leaks {len(leaked)} of them",
    ]
    for question, wanted in (("used or not", used), ("leaked or not", {name: name in leaked for name in used})):
        found = fingerprint.evaluate([wanted[name] for name in ranking.names], ranking.scores, n_bootstrap=200)
        lines.append(f"  {question}: AUC {found.roc_auc.value:.3f} (chance is 0.5)")
    lines += [
        "",
        printable(f"Images, truth and ranking are in {folder}{os.sep}. To look at the evidence:"),
        printable(f"  fingerprint rank {folder / 'real'} {folder / 'fake'} --report ranking.html"),
    ]
    return Outcome("\n".join(lines))


def _no_arguments(_: ArgumentParser) -> None:
    pass


def _warm_up(_: Namespace) -> Outcome:
    """Ask the questions of all commands about a few drawn images, in each depth."""
    began = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        drawn = fingerprint.phantoms.write_demo(Path(folder) / "demo", n_used=4, n_unused=4, n_fake=20, size=64)
        fingerprint.rank(Path(folder) / "demo" / "real", Path(folder) / "demo" / "fake")
    for depth in (np.uint8, np.uint16):
        real, fake = (images.pixels.astype(depth) for images in (drawn.real, drawn.fake))
        fingerprint.audit(real[:4], real[4:], fake, n_permutations=99)
        for measure in ("rmse", "ncc"):
            fingerprint.nearest_patches(real, fake, measure=measure, flat=2)
        for metric in ("euclidean", "manhattan", "correlation", "tiles", "ssim"):
            fingerprint.distances(real, fake, metric=metric)
    return Outcome(f"Compiled for this processor, and kept for later runs, in {perf_counter() - began:.0f} s.")


COMMANDS = (
    Command("warm-up", "compile all that the other commands use, once for this processor", _no_arguments, _warm_up),
    Command("demo", "draw images and a generator that leaks, and rank them", _demo_arguments, _demo),
)
