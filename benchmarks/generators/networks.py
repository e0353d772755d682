"""The networks that the generators share, small enough for two cores."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class Residual(nn.Module):
    """Two convolutions beside a shortcut, told the time where there is one."""

    def __init__(self, before: int, after: int, time: int = 0) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.GroupNorm(8, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.second = nn.Sequential(nn.GroupNorm(8, after), nn.SiLU(), nn.Conv2d(after, after, 3, padding=1))
        self.time = nn.Linear(time, after) if time else None
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: torch.Tensor, time: torch.Tensor | None = None) -> torch.Tensor:
        inner = self.first(x)
        if self.time is not None and time is not None:
            inner = inner + self.time(time)[:, :, None, None]
        return self.shortcut(x) + self.second(inner)


class UNet(nn.Module):
    """From noisy images (n, channels, s, s) and times (n,) in 0 to 1 to what the noise is, in three resolutions.

    Images are cut into squares of `patch` pixels, each a cell, so that large ones cost no more.
    """

    def __init__(self, channels: int = 1, patch: int = 1, width: int = 32) -> None:
        super().__init__()
        self.patch, time, inside = patch, 4 * width, channels * patch * patch
        self.time = nn.Sequential(nn.Linear(width, time), nn.SiLU(), nn.Linear(time, time))
        self.frequencies = nn.Parameter(torch.exp(torch.linspace(0, 6, width // 2)), requires_grad=False)
        widths = (width, 2 * width, 3 * width)
        self.enter = nn.Conv2d(inside, width, 3, padding=1)
        self.down = nn.ModuleList(Residual(a, b, time) for a, b in zip((width, *widths[:-1]), widths, strict=True))
        self.middle = Residual(widths[-1], widths[-1], time)
        self.up = nn.ModuleList(
            Residual(2 * a, b, time) for a, b in zip(widths[::-1], (*widths[-2::-1], width), strict=True)
        )
        self.leave = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, inside, 3, padding=1))

    def forward(self, x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        angles = time[:, None] * self.frequencies
        told = self.time(torch.cat([angles.sin(), angles.cos()], dim=1))
        x, kept = self.enter(functional.pixel_unshuffle(x, self.patch)), []
        for level, block in enumerate(self.down):
            x = block(functional.avg_pool2d(x, 2) if level else x, told)
            kept.append(x)
        x = self.middle(x, told)
        for level, block in enumerate(self.up):
            x = block(torch.cat([x, kept.pop()], dim=1), told)
            x = functional.interpolate(x, scale_factor=2) if level < len(self.up) - 1 else x
        return functional.pixel_shuffle(self.leave(x), self.patch)


def encoder(inside: int, outside: int, width: int, halvings: int) -> nn.Sequential:
    """From images to maps that are halved so many times."""
    layers: list[nn.Module] = [nn.Conv2d(inside, width, 3, padding=1)]
    for level in range(halvings):
        layers += [Residual(width << level, width << (level + 1)), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.SiLU(), nn.Conv2d(width << halvings, outside, 3, padding=1))


def decoder(inside: int, outside: int, width: int, doublings: int) -> nn.Sequential:
    """From maps to images, doubled so many times."""
    layers: list[nn.Module] = [nn.Conv2d(inside, width << doublings, 3, padding=1)]
    for level in reversed(range(doublings)):
        layers += [nn.Upsample(scale_factor=2), Residual(width << (level + 1), width << level)]
    return nn.Sequential(*layers, nn.SiLU(), nn.Conv2d(width, outside, 3, padding=1))


def grower(inside: int, widths: list[int]) -> nn.Sequential:
    """From vectors (n, inside, 1, 1) to maps of 4 pixels, which are doubled once for each width, the last one first."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(inside, widths[-1], 4)]
    for before, after in zip(widths[::-1], [*widths[-2::-1], 1], strict=True):
        layers += [nn.GroupNorm(8, before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1)]
    return nn.Sequential(*layers)


def judge(widths: list[int]) -> nn.Sequential:
    """From images, halved as often as there are widths, to a number."""
    layers: list[nn.Module] = []
    for before, after in zip([1, *widths[:-1]], widths, strict=True):
        layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4)))
