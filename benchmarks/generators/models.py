"""The generators: each is trained by `train(images, steps)` and then gives images by `sample(count)`.

Images are tensors (n, 1, s, s) from -1 to 1, `s` a multiple of 16.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from networks import UNet, decoder, encoder, grower, judge
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BATCH = 16


def batches(images: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
    """Yield random batches."""
    for _ in range(steps):
        yield images[torch.randint(len(images), (BATCH,))]


def descend(losses: Iterable[Callable[[], torch.Tensor]], modules: Iterable[nn.Module], rate: float) -> None:
    """Follow the gradient of each loss, with Adam and a rate that falls to 0 by the end."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    losses = list(losses)
    optimiser = torch.optim.Adam(parameters, rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(losses))
    for loss in losses:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
        falling.step()


class Flow:
    """A rectified flow (Liu, Gong & Liu, ICLR 2023): a straight way from noise to images, learnt at random times."""

    def __init__(self, channels: int = 1, patch: int = 4) -> None:
        self.network = UNet(channels, patch)

    def train(self, images: torch.Tensor, steps: int) -> None:
        self.shape = images.shape[1:]

        def loss(batch: torch.Tensor) -> torch.Tensor:
            noise, time = torch.randn_like(batch), torch.sigmoid(torch.randn(len(batch)))
            between = torch.lerp(noise, batch, time[:, None, None, None])
            return functional.mse_loss(self.network(between, time), batch - noise)

        descend((lambda batch=batch: loss(batch) for batch in batches(images, steps)), [self.network], 5e-4)

    @torch.no_grad()
    def sample(self, count: int, steps: int = 40) -> torch.Tensor:
        x = torch.randn(count, *self.shape)
        for step in range(steps):
            x = x + self.network(x, torch.full((count,), step / steps)) / steps
        return x


class Diffusion:
    """A denoising diffusion model (Ho, Jain & Abbeel, NeurIPS 2020) with the cosine schedule of Nichol & Dhariwal.

    The network says what the image is, not what the noise is: where almost all is noise, an image found from the noise
    is wrong by a hundred times the error of the noise, and a small network draws nothing but noise. The loss is that of
    Salimans & Ho (ICLR 2022), bounded at the levels that have almost no noise.
    """

    LEVELS, MOST = 1000, 5.0

    def __init__(self, patch: int = 4) -> None:
        self.network = UNet(1, patch)
        angles = (torch.arange(self.LEVELS + 1) / self.LEVELS + 0.008) / 1.008 * math.pi / 2
        self.kept = (angles.cos() ** 2 / angles[0].cos() ** 2).clamp(1e-4, 0.9999)  # share of the image's variance

    def train(self, images: torch.Tensor, steps: int) -> None:
        self.shape = images.shape[1:]

        def loss(batch: torch.Tensor) -> torch.Tensor:
            level = torch.randint(1, self.LEVELS + 1, (len(batch),))
            kept, noise = self.kept[level][:, None, None, None], torch.randn_like(batch)
            noisy = kept.sqrt() * batch + (1 - kept).sqrt() * noise
            weight = (1 / (1 - kept)).clamp(max=self.MOST)
            return (weight * (self.network(noisy, level / self.LEVELS) - batch) ** 2).mean()

        descend((lambda batch=batch: loss(batch) for batch in batches(images, steps)), [self.network], 1.5e-3)

    @torch.no_grad()
    def sample(self, count: int, steps: int = 50) -> torch.Tensor:
        """Sample by DDIM (Song, Meng & Ermon, ICLR 2021)."""
        x, levels = torch.randn(count, *self.shape), torch.linspace(self.LEVELS, 0, steps + 1).long()
        for level, following in pairwise(levels):
            image = self.network(x, torch.full((count,), float(level) / self.LEVELS)).clamp(-1, 1)
            noise = (x - self.kept[level].sqrt() * image) / (1 - self.kept[level]).sqrt()
            x = self.kept[following].sqrt() * image + (1 - self.kept[following]).sqrt() * noise
        return x


class Autoencoder:
    """A variational autoencoder (Kingma & Welling, ICLR 2014) with maps of `channels` for latents."""

    def __init__(self, channels: int, halvings: int, weight: float, width: int = 16) -> None:
        self.channels, self.weight = channels, weight
        self.encoder = encoder(1, 2 * channels, width, halvings)
        self.decoder = decoder(channels, 1, width, halvings)

    def train(self, images: torch.Tensor, steps: int) -> None:
        self.shape = self.encode(images[:1]).shape[1:]

        def loss(batch: torch.Tensor) -> torch.Tensor:
            mean, log = self.encoder(batch).chunk(2, dim=1)
            made = self.decoder(mean + torch.randn_like(mean) * (log / 2).exp())
            divergence = (mean**2 + log.exp() - 1 - log).sum() / (2 * batch.numel())
            return functional.l1_loss(made, batch) + self.weight * divergence

        both = [self.encoder, self.decoder]
        descend((lambda batch=batch: loss(batch) for batch in batches(images, steps)), both, 1e-3)

    @torch.no_grad()
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.encoder(part).chunk(2, dim=1)[0] for part in images.split(64)])

    @torch.no_grad()
    def sample(self, count: int) -> torch.Tensor:
        return self.decoder(torch.randn(count, *self.shape))


class LatentFlow:
    """A flow in the latents of an autoencoder (Rombach and others, CVPR 2022)."""

    def __init__(self) -> None:
        self.outer, self.inner = Autoencoder(4, 2, 1e-3), Flow(4, 1)

    def train(self, images: torch.Tensor, steps: int) -> None:
        self.outer.train(images, steps // 3)
        latents = self.outer.encode(images)
        self.centre, self.scale = latents.mean(), latents.std()
        self.inner.train((latents - self.centre) / self.scale, steps)

    @torch.no_grad()
    def sample(self, count: int) -> torch.Tensor:
        return self.outer.decoder(self.inner.sample(count) * self.scale + self.centre)


class Gan:
    """A GAN of strided convolutions (Radford, Metz & Chintala, ICLR 2016) with the hinge loss and spectral norms.

    The critic sees images moved at random (DiffAugment, NeurIPS 2020), and never mirrored ones, or the generator would
    draw such. Images come from the running mean of the generator's weights.
    """

    LATENT, KEPT = 64, 0.999

    def __init__(self, size: int, width: int = 16) -> None:
        widths = [width << level for level in range(int(math.log2(size // 4)))]
        self.generator, self.critic = grower(self.LATENT, widths), judge(widths)
        self.mean = copy.deepcopy(self.generator)

    def made(self, generator: nn.Module, count: int) -> torch.Tensor:
        return torch.tanh(generator(torch.randn(count, self.LATENT, 1, 1)))

    def seen(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the critic says of images that were moved by up to an eighth."""
        reach = images.shape[-1] // 8
        down, right = torch.randint(-reach, reach + 1, (2,)).tolist()
        return self.critic(torch.roll(images, (down, right), (2, 3)))

    def train(self, images: torch.Tensor, steps: int) -> None:
        making = torch.optim.Adam(self.generator.parameters(), 2e-4, (0.0, 0.99))
        judging = torch.optim.Adam(self.critic.parameters(), 4e-4, (0.0, 0.99))
        for batch in batches(images, steps):
            with torch.no_grad():
                fake = self.made(self.generator, BATCH)
            judging.zero_grad()
            (functional.relu(1 - self.seen(batch)).mean() + functional.relu(1 + self.seen(fake)).mean()).backward()
            judging.step()
            making.zero_grad()
            (-self.seen(self.made(self.generator, BATCH)).mean()).backward()
            making.step()
            with torch.no_grad():
                for mean, weight in zip(self.mean.parameters(), self.generator.parameters(), strict=True):
                    mean.lerp_(weight, 1 - self.KEPT)

    @torch.no_grad()
    def sample(self, count: int) -> torch.Tensor:
        return self.made(self.mean, count)


def model(kind: str, size: int) -> Flow | Diffusion | Autoencoder | LatentFlow | Gan:
    """Return an untrained generator of square images."""
    match kind:
        case "pixel-flow":
            return Flow()
        case "pixel-diffusion":
            return Diffusion()
        case "latent-flow":
            return LatentFlow()
        case "vae":
            return Autoencoder(64, int(math.log2(size // 4)), 1e-2, 8)
        case "gan":
            return Gan(size)
    raise ValueError(kind)


KINDS = ("pixel-flow", "pixel-diffusion", "latent-flow", "vae", "gan")
