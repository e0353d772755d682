"""Train a generator on a part of the patients of a folder of real images, and write a set of known truth.

    python benchmarks/generators/train.py KIND REAL_DIR SET_DIR --groups groups.json --size 64 --steps 4000 --seed 0

KIND is one of pixel-flow, pixel-diffusion, latent-flow, vae and gan. `SET_DIR` receives `used`, `not_used`,
`generated`, `groups.json` and `settings.json`, as `labelled.py` reads them. A random half of the patients is used,
whole, or one of several parts: `--part 2/5` trains on the second fifth. With one seed, the parts of a folder have no
patient in common, and each begins with weights and noise of its own. The same seed, part, version of torch and number
of threads give the same set.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import models
import numpy as np
import torch
from PIL import Image

import fingerprint

AT_ONCE = 100  # images that are sampled together


class Part(NamedTuple):
    """One of `count` parts of the patients, the first being 1."""

    number: int
    count: int

    @classmethod
    def read(cls, text: str) -> Part:
        """Read a part written as 2/5."""
        number, count = map(int, text.split("/"))
        if not 1 <= number <= count:
            raise ValueError(text)
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, names: tuple[str, ...], groups: dict[str, str], rng: np.random.Generator) -> np.ndarray:
        """Return which images are in this part, of patients in random order."""
        patients = np.array([groups.get(PurePosixPath(name).name, name) for name in names])
        people = rng.permutation(np.unique(patients))
        first, end = (len(people) * bound // self.count for bound in (self.number - 1, self.number))
        return np.isin(patients, people[first:end])


def write(folder: Path, pixels: np.ndarray, names: list[str]) -> None:
    """Write images as PNG."""
    folder.mkdir(parents=True)
    for image, name in zip(pixels, names, strict=True):
        Image.fromarray(image).save(folder / f"{PurePosixPath(name).stem}.png")


def main() -> None:
    """Train, sample and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=models.KINDS)
    parser.add_argument("real", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--groups", type=Path)
    parser.add_argument("--part", type=Part.read, default=Part(1, 2), help="trained on, as 2/5 (default: 1/2)")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--n-fake", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    began = time.process_time()
    torch.manual_seed(options.seed + options.part.number - 1)
    torch.set_num_threads(options.threads)
    real = fingerprint.load(options.real, size=options.size, recursive=True)
    groups = json.loads(options.groups.read_text(encoding="utf-8")) if options.groups else {}
    used = options.part.of(real.names, groups, np.random.default_rng(options.seed))
    images = torch.from_numpy(real.pixels[used]).float()[:, None] / 127.5 - 1
    generator = models.model(options.kind, options.size)
    generator.train(images, options.steps)
    made = torch.cat([generator.sample(AT_ONCE) for _ in range(-(-options.n_fake // AT_ONCE))])[: options.n_fake]
    fake = ((made[:, 0].clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    for name, chosen in (("used", used), ("not_used", ~used)):
        write(options.out / name, real.pixels[chosen], [real.names[i] for i in np.flatnonzero(chosen)])
    write(options.out / "generated", fake, [f"g{i:05d}" for i in range(len(fake))])
    known = {f"{PurePosixPath(name).stem}.png": groups.get(PurePosixPath(name).name, name) for name in real.names}
    (options.out / "groups.json").write_text(json.dumps(known), encoding="utf-8")
    settings = {name: str(value) for name, value in vars(options).items() if name not in ("real", "out", "groups")}
    settings |= {"torch": torch.__version__, "processor_seconds": f"{time.process_time() - began:.0f}"}
    (options.out / "settings.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
