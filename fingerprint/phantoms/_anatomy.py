"""Thorax anatomy: the shapes, tissues and organs that phantoms are drawn with."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fingerprint._base.types import Array

Point = tuple[float, float]  # x to the right of the picture, y down; the image spans -1 to 1
Box = tuple[slice, slice]

_ALL: Box = (slice(None), slice(None))


# Grey levels of a lung window, on the scale of 8 bits; bone saturates.
OUTSIDE, _AIR, _LUNG, _FAT, _MUSCLE, _BLOOD, _MARROW, _BONE = 38, 44, 74, 199, 221, 226, 236, 262

# A shape is its radii over a circle of directions: -pi/2 is the front of the chest, pi/2 the back.
_DIRECTIONS = 1024
_THETA = (np.arange(_DIRECTIONS) / _DIRECTIONS * 2 - 1) * np.pi
_COS, _SIN = np.cos(_THETA), np.sin(_THETA)
_WAVES = np.array([wave(k * _THETA) / k for k in range(1, 17) for wave in (np.cos, np.sin)])
_FRONT, _BACK = -np.pi / 2, np.pi / 2
_FRONTMOST, _BACKMOST = _DIRECTIONS // 4, _DIRECTIONS * 3 // 4  # their places in the circle


def random(*key: int) -> np.random.Generator:
    """Return a generator that depends on the key alone."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


def _about(rng: np.random.Generator, usual: float, spread: float, limit: float) -> float:
    """Return a normal number, kept within a limit of the usual one."""
    return usual + float(np.clip(rng.normal(0, spread), -limit, limit))


def oval(width: float, height: float, power: float = 2.0) -> Array:
    """Return the radii of a superellipse with these half axes, (1024,) float64."""
    radii: Array = (np.abs(_COS / width) ** power + np.abs(_SIN / height) ** power) ** (-1 / power)
    return radii


def _bump(direction: float, width: float) -> Array:
    """Return a bell of height 1 around a direction, (1024,) float64."""
    bell: Array = np.exp((_COS * np.cos(direction) + _SIN * np.sin(direction) - 1) / width**2)
    return bell


def _apart(direction: float) -> Array:
    """Return the angle from a direction, -pi to pi, (1024,) float64."""
    angle: Array = (_THETA - direction + np.pi) % (2 * np.pi) - np.pi
    return angle


def _wobble(rng: np.random.Generator, amount: float, order: int = 6) -> Array:
    """Return a smooth random factor around 1 over the directions, (1024,) float64."""
    waves: Array = rng.normal(0, amount, (2 * order, 1)) * _WAVES[: 2 * order]
    factor: Array = 1 + waves.sum(axis=0)
    return factor


@functools.lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Array, Array]:
    """Return the direction and the distance in pixels from the middle of a (2 size + 1)-square; a shape uses a part."""
    step = np.arange(-size, size + 1, dtype=np.float64)
    angle = np.arctan2(step[:, None], step)
    index = np.round((angle + np.pi) * (_DIRECTIONS / (2 * np.pi))).astype(np.int16) % _DIRECTIONS
    return index, np.hypot(step[:, None], step).astype(np.float32)


class Pen:
    """Draws shapes on an image whose half side has length 1, with edges one pixel soft."""

    def __init__(self, image: Array) -> None:
        self.image = image
        self.size = len(image)
        self.scale = self.size / 2  # pixels
        self.x = ((np.arange(self.size) + 0.5) / self.scale - 1).astype(np.float32)
        self.y = self.x[:, None]

    def cover(self, centre: Point, edge: Array, half: Array | None = None, soft: float = 1.0) -> tuple[Box, Array]:
        """Return (box, coverage 0 to 1) of the shape inside `edge`, or of a band of half width `half` along it."""
        column, row = (round((c + 1) * self.scale - 0.5) for c in centre)
        reach = int((edge.max() + (0 if half is None else half.max())) * self.scale + soft) + 2
        top, bottom = max(row - reach, 0), min(row + reach + 1, self.size)
        left, right = max(column - reach, 0), min(column + reach + 1, self.size)
        cut = np.s_[
            self.size + top - row : self.size + bottom - row, self.size + left - column : self.size + right - column
        ]
        direction, distance = (part[cut] for part in _grid(self.size))
        inside = np.take((edge * self.scale).astype(np.float32), direction)
        inside -= distance
        if half is not None:
            np.abs(inside, out=inside)
            np.subtract(np.take((half * self.scale).astype(np.float32), direction), inside, out=inside)
        inside *= np.float32(1 / soft)
        inside += np.float32(0.5)
        return (slice(top, bottom), slice(left, right)), np.clip(inside, 0, 1, out=inside)

    def fill(self, centre: Point, edge: Array, value: float, half: Array | None = None, soft: float = 1.0) -> None:
        """Paint a shape, or a band, with one grey level."""
        box, inside = self.cover(centre, edge, half, soft)
        self.blend(box, inside, value)

    def blend(self, box: Box, weight: Array, value: float | Array) -> None:
        """Move the pixels of a box towards a grey level, by their weights from 0 to 1."""
        part = self.image[box]
        part += weight * (value - part)


def draw(stream: int, seed: int, patient: int, step: int, size: int, noise: float = 1.0) -> Array:
    """Return one slice of one patient, (size, size) float32 on the scale of 8 bits.

    Every slice of a patient repeats the same draws: only `level` moves, so no draw may depend on it.
    """
    rng = random(stream, seed, patient)
    level = rng.uniform() + 0.035 * step  # 0 = below the tracheal bifurcation, 1 = ventricles
    pen = Pen(np.full((size, size), _AIR, np.float32))
    middle = (_about(rng, 0, 0.025, 0.15), _about(rng, -0.07, 0.04, 0.17))
    width = _about(rng, 0.575, 0.042, 0.12)
    height = width * rng.uniform(0.68, 0.8)
    chest = oval(width, height, rng.uniform(2.1, 2.5)) * _wobble(rng, 0.02) * (1 - 0.07 * _bump(_FRONT, 0.5))
    chest *= 1 + 0.03 * (level - 0.5)
    skin = _trunk(pen, rng, middle, chest, level)
    lungs = _lungs(pen, rng, middle, chest)
    spine = (middle[0] + rng.normal(0, 0.008), middle[1] + height * rng.uniform(0.66, 0.76))
    hila = _mediastinum(pen, rng, middle, spine, height, level)
    lungs *= pen.image < 160  # what the mediastinum left of them
    _vessels(pen, rng, lungs, hila, 0.14 * step)
    _airways(pen, rng, spine, level)
    _lesion(pen, rng, middle, width, lungs, level)
    _ribs(pen, rng, middle, chest, skin, level)
    _spine(pen, rng, spine)
    _table(pen, rng, middle[1] + float(skin[_BACKMOST]))
    return _scan(pen, rng, random(stream, seed, patient, 1 + step), noise)


def _trunk(pen: Pen, rng: np.random.Generator, middle: Point, chest: Array, level: float) -> Array:
    """Draw skin, fat and muscle around the chest; return the radii of the skin."""
    shoulder = max(0.0, 0.75 - level)
    muscle = chest + rng.uniform(0.05, 0.08)
    for side in (-1, 1):
        muscle = muscle + rng.uniform(0.04, 0.065) * _bump(_BACK + side * 0.33, 0.33)  # erector spinae
        latissimus = (0.04 + 0.11 * shoulder) * rng.uniform(0.8, 1.3)
        pectoral = (0.02 + 0.07 * shoulder) * rng.uniform(0.7, 1.3)
        muscle = muscle + latissimus * _bump(_BACK + side * 1.25, 0.35) + pectoral * _bump(_FRONT + side * 0.62, 0.3)
    fat = rng.gamma(2.2, 0.017) + 0.012
    layer = fat * (1 + 0.5 * np.abs(_COS) ** 3) * _wobble(rng, 0.12)  # more on the flanks
    breast = rng.uniform(0.03, 0.13) * (rng.uniform() < 0.4)
    for side in (-1, 1):
        layer = layer + breast * rng.uniform(0.85, 1.15) * _bump(_FRONT + side * 0.62, 0.24)
    skin = np.minimum(muscle + layer - 0.02 * _bump(_FRONT, 0.2) - 0.03 * _bump(_BACK, 0.12), 0.96)
    pen.fill(middle, skin, _MUSCLE)
    pen.fill(middle, skin - 0.012, _FAT)
    pen.fill(middle, np.minimum(muscle, skin - 0.02), _MUSCLE, soft=1.5)
    pen.fill(middle, chest + 0.055, _FAT + 8, np.full(_DIRECTIONS, 0.007), soft=2)  # fat between the layers of muscle
    cloth = 0.004 * _bump(rng.uniform(-2.6, -0.6), rng.uniform(0.1, 0.5)) - 0.001
    pen.fill(middle, skin + rng.uniform(0.015, 0.04) * _wobble(rng, 0.3, 12), 85, cloth)
    return skin


def _lungs(pen: Pen, rng: np.random.Generator, middle: Point, chest: Array) -> Array:
    """Draw both lungs as one cavity with a notch for the spine; return their coverage, (size, size)."""
    notch = 1 - rng.uniform(0.45, 0.55) * _bump(_BACK + rng.normal(0, 0.03), rng.uniform(0.27, 0.33))
    box, inside = pen.cover(middle, chest * notch * (1 - 0.12 * _bump(_FRONT, 0.22)), soft=1.2)
    dense = _LUNG + rng.normal(0, 5) + rng.uniform(5, 30) * (pen.y[box[0]] - middle[1])  # blood sinks to the back
    pen.blend(box, inside, dense)
    lungs = np.zeros_like(pen.image)
    lungs[box] = inside
    return lungs


def _mediastinum(pen: Pen, rng: np.random.Generator, middle: Point, spine: Point, height: float, level: float) -> Point:
    """Draw heart, great vessels and aorta between the lungs; return the middle of the hila."""
    x, y = middle
    growth = np.clip(0.35 + 0.9 * level, 0, 1.1)  # the heart grows from its base to the ventricles
    heart = (x + 0.02 + 0.09 * growth * rng.uniform(0.7, 1.4), y - height * rng.uniform(0.2, 0.34))
    size = rng.uniform(0.2, 0.265) * (0.62 + 0.38 * growth)
    apex = rng.uniform(0.05, 0.3) * growth * _bump(rng.uniform(0.0, 0.6), rng.uniform(0.35, 0.6))
    outline = oval(size, size * rng.uniform(0.92, 1.15), 2.2) * (_wobble(rng, 0.05) + apex)
    pen.fill((x, y - 0.5 * height), oval(rng.uniform(0.05, 0.1), 0.4 * height) * _wobble(rng, 0.04), _FAT + 8)
    pen.fill((x, y), oval(rng.uniform(0.08, 0.12), 0.62 * height, 3) * _wobble(rng, 0.06), _MUSCLE)
    pen.fill(spine, oval(rng.uniform(0.12, 0.15), 0.13, 2.2) * _wobble(rng, 0.05), _MUSCLE)
    pen.fill(heart, outline + 0.012, _FAT + 10, soft=2)  # fat of the pericardium
    pen.fill(heart, outline, _BLOOD)
    aorta = (spine[0] + rng.uniform(0.085, 0.115), spine[1] - rng.uniform(0.02, 0.07))
    pen.fill(aorta, oval(*rng.uniform(0.05, 0.07, 2)) * _wobble(rng, 0.03), _BLOOD + 3)
    hila = (x, spine[1] - rng.uniform(0.17, 0.23))
    for side in (-1, 1):  # pulmonary arteries and veins, thick above the ventricles
        root = (x + side * rng.uniform(0.1, 0.15), hila[1] + rng.uniform(-0.03, 0.03))
        pen.fill(root, oval(0.05 + 0.05 * (1.1 - growth), 0.045) * _wobble(rng, 0.3), _BLOOD - 3)
    oesophagus = (x + rng.uniform(0, 0.05), spine[1] - 0.12)
    pen.fill(oesophagus, oval(*rng.uniform(0.008, 0.02, 2)), rng.uniform(60, 215))
    return hila


def _vessels(pen: Pen, rng: np.random.Generator, lungs: Array, hila: Point, plane: float) -> None:
    """Draw the vessels of the lungs: trees from the hila, and dots where vessels cross the slice."""
    roots = 7
    side = np.repeat([-1.0, 1.0], roots)
    heading = np.tile(np.linspace(-1.2, 1.35, roots), 2) + rng.normal(0, 0.15, 2 * roots)
    x, y = hila[0] + side * 0.13, hila[1] + 0.05 * np.sin(heading)
    heading = np.where(side > 0, heading, np.pi - heading)
    radius, depth = rng.uniform(0.01, 0.019, 2 * roots), rng.normal(0, 0.3, 2 * roots)
    travel = np.linspace(0.1, 1, 6 + pen.size // 20)
    points = []
    for generation in range(4):
        length = rng.uniform(0.09, 0.19, x.size) * 0.9**generation
        course = heading[:, None] + rng.normal(0, 0.3, x.size)[:, None] * travel
        px = x[:, None] + length[:, None] * travel * np.cos(course)
        py = y[:, None] + length[:, None] * travel * np.sin(course)
        slope = rng.normal(0, 0.6, x.size)
        away = np.abs(depth[:, None] + slope[:, None] * travel - plane)  # vessels leave the slice
        points.append((px, py, radius[:, None] * (1 - 0.3 * travel) * np.clip(1.6 - 2.2 * away, 0, 1)))
        x, y, depth = (np.repeat(v, 2) for v in (px[:, -1], py[:, -1], depth + slope))
        fork = rng.uniform(0.2, 0.7, (heading.size, 2)) * [-1, 1]
        heading, radius = (course[:, -1:] + fork).ravel(), np.repeat(radius * 0.7, 2)
    across = 220
    px, py = hila[0] + rng.uniform(-0.55, 0.55, across), hila[1] + rng.normal(0, 0.2, across)
    thickness = np.clip(1.5 - np.abs(rng.normal(0, 1, across) - plane), 0, 1)
    points.append((px, py, rng.uniform(0.003, 0.012, across) * thickness))
    x, y, radius = (np.concatenate([p[i].ravel() for p in points]) * pen.scale for i in range(3))
    x, y = x + pen.scale - 0.5, y + pen.scale - 0.5
    column, row = (np.clip(np.round(v).astype(np.intp), 0, pen.size - 1) for v in (x, y))
    shown = (radius > 0.1) & (lungs[row, column] > 0)
    pen.blend(_ALL, lungs * _dots(pen.size, x[shown], y[shown], radius[shown]), _BLOOD - 10)


def _dots(size: int, x: Array, y: Array, radius: Array) -> Array:
    """Return the coverage of many small discs, all in pixels, (size, size) float32; the most covering disc wins."""
    result = np.zeros(size * size, np.float32)
    for thin in (True, False):  # most are thin and need a small stamp
        px, py, pr = (v[(radius < size / 200) == thin].astype(np.float32)[:, None] for v in (x, y, radius))
        reach = int(pr.max(initial=0) + 1)
        step = np.arange(-reach, reach + 1)
        column, row = np.round(px).astype(np.intp) + step, np.round(py).astype(np.intp) + step
        distance = np.sqrt(((row - py) ** 2)[:, :, None] + ((column - px) ** 2)[:, None, :], dtype=np.float32)
        cover = np.clip(pr[:, :, None] + np.float32(0.3) - distance, 0, 1)
        inside = ((row >= 0) & (row < size))[:, :, None] & ((column >= 0) & (column < size))[:, None, :]
        seen = (cover > 0) & inside
        np.maximum.at(result, (row[:, :, None] * size + column[:, None, :])[seen], cover[seen])
    return result.reshape(size, size)


def _airways(pen: Pen, rng: np.random.Generator, spine: Point, level: float) -> None:
    """Draw the trachea's two main bronchi: wide and near each other at the top, small and apart further down."""
    x, y = spine
    apart, width = 0.035 + 0.17 * level, rng.uniform(0.036, 0.05) * max(0.1, 1 - level)
    height = y - rng.uniform(0.17, 0.2)
    for side in (-1, 1):
        shape = oval(width * rng.uniform(0.8, 1.2), width * rng.uniform(0.8, 1.2)) * _wobble(rng, 0.08)
        centre = (x + side * apart * rng.uniform(0.85, 1.15), height + 0.08 * level)
        pen.fill(centre, shape + 0.01, _MUSCLE - 10)
        pen.fill(centre, shape, _AIR)


def _lesion(pen: Pen, rng: np.random.Generator, middle: Point, width: float, lungs: Array, level: float) -> None:
    """Draw, in some patients, a nodule, a consolidation or fluid behind a lung."""
    kind, side, grey = rng.uniform(), rng.choice([-1, 1]), rng.uniform(190, 225)
    centre = (middle[0] + side * width * rng.uniform(0.4, 0.8), middle[1] + rng.uniform(-0.2, 0.22))
    size = rng.uniform(0.025, 0.07) * (1 - (level - 0.5) ** 2)
    ragged, blotch = _wobble(rng, 0.25, 16), _wobble(rng, 0.4, 6)
    fluid = middle[1] + rng.uniform(0.15, 0.25)
    if kind < 0.18:
        box, inside = pen.cover(centre, size * ragged, soft=1.5)
    elif kind < 0.28:
        box, inside = pen.cover(centre, 2.6 * size * blotch, soft=pen.size / 20)
    elif kind < 0.34:
        box = _ALL
        inside = np.clip((pen.y - fluid) * pen.scale, 0, 1) * (side * (pen.x - middle[0]) > 0)
    else:
        return
    pen.blend(box, inside * lungs[box], grey)


def _ribs(pen: Pen, rng: np.random.Generator, middle: Point, chest: Array, skin: Array, level: float) -> None:
    """Draw ribs as bright pieces of a ring around the chest, the sternum and, higher up, the shoulder blades."""
    ring, half = chest + 0.03, np.full(_DIRECTIONS, -1.0)
    blades, blade = np.minimum(chest + 0.13, skin - 0.06), np.full(_DIRECTIONS, -1.0)
    for side in (-1, 1):
        for place in (0.5, 0.95, 1.42, 1.92, 2.42):
            direction = _BACK + side * (place + rng.normal(0, 0.06) + 0.4 * (level - 0.5))
            gap, length = _apart(direction), rng.uniform(0.13, 0.24)
            half = np.maximum(half, rng.uniform(0.014, 0.021) * (1 - np.square(gap / length) ** 2))
            ring = ring + side * rng.uniform(-0.06, 0.02) * gap * _bump(direction, 0.12)
        direction = _BACK + side * rng.uniform(0.7, 0.95)
        gap = _apart(direction)
        blade = np.maximum(blade, (0.014 - 0.02 * max(0.0, level - 0.3)) * (1 - (gap / rng.uniform(0.2, 0.3)) ** 2))
        blades = blades + rng.uniform(-0.25, 0.25) * gap * _bump(direction, 0.25)
    half = np.maximum(half, -0.1)
    pen.fill(middle, ring, _BONE, half)
    pen.fill(middle, ring, _MARROW, half - 0.011)
    if level < 0.7:
        pen.fill(middle, blades, _BONE, np.maximum(blade, -0.1))
    sternum = (middle[0] + rng.normal(0, 0.01), middle[1] - float(chest[_FRONTMOST]) - 0.02)
    plate = oval(rng.uniform(0.07, 0.11), rng.uniform(0.022, 0.032), 2.6) * _wobble(rng, 0.04)
    pen.fill(sternum, plate, _BONE)
    pen.fill(sternum, plate - 0.011, _MARROW)


def _spine(pen: Pen, rng: np.random.Generator, spine: Point) -> None:
    """Draw a vertebra: its body, the canal behind it, and the processes."""
    x, y = spine
    size = rng.uniform(0.068, 0.088)
    canal = (x, y + size * 1.15)
    arch = np.full(_DIRECTIONS, 0.045)
    arch = arch + rng.uniform(0.05, 0.085) * _bump(_BACK + rng.normal(0, 0.05), 0.15)  # spinous process
    for side in (-1, 1):  # transverse processes
        arch = arch + rng.uniform(0.06, 0.11) * _bump(_BACK + side * rng.uniform(0.95, 1.2), 0.2)
    pen.fill(canal, arch, _BONE - 4)
    body = oval(size, size * rng.uniform(0.72, 0.88), 2.5) * _wobble(rng, 0.03)
    pen.fill(spine, body, _BONE)
    pen.fill(spine, body - 0.012, _MARROW, soft=2)
    pen.fill(canal, oval(0.037, 0.032), _MUSCLE - 6)


def _table(pen: Pen, rng: np.random.Generator, back: float) -> None:
    """Draw the table as two arcs below the patient, on a foot in some scanners."""
    kind, reach = rng.uniform(), rng.uniform(0.8, 1.3)
    top, bend, thick = back + rng.uniform(0.0, 0.06), rng.uniform(0.1, 0.2), rng.uniform(0.1, 0.2)
    rows = pen.y[pen.size // 2 :]
    box = np.s_[pen.size // 2 :, :]
    upper = top - bend * (pen.x / reach) ** 2
    lower = top + thick - (bend + 0.9 * thick) * (pen.x / reach) ** 2
    wide = np.abs(pen.x) < reach
    bright = 255 if kind < 0.75 else 130
    inner = np.clip((rows - upper) * pen.scale + 0.5, 0, 1) * np.clip((lower - rows) * pen.scale + 0.5, 0, 1)
    air = pen.image[box] < 100  # the patient lies on the table, not in it
    pen.blend(box, inner * air, _AIR + 9)
    if kind < 0.3:
        foot = 0.22 - 0.9 * (rows - lower)
        inside = np.clip((foot - np.abs(pen.x)) * pen.scale, 0, 1) * (rows > lower) * (foot > 0.08)
        pen.blend(box, inside * ((np.abs(pen.x) > 0.07) | (np.abs(foot - 0.15) > 0.03)), 250)
    for edge in (upper, lower):
        line = np.clip(1.15 + 0.004 * pen.scale - np.abs(rows - edge) * pen.scale, 0, 1)
        pen.blend(box, line * wide * air, bright)


def _scan(pen: Pen, rng: np.random.Generator, noise: np.random.Generator, strength: float) -> Array:
    """Return the image as a scanner gives it: tissue texture, noise, window and the round field of view."""
    image, size = pen.image, pen.size
    image += _field(noise, size, 24, 3.0) * (image > 150)
    grain = strength * min(rng.gamma(1.3, 6) + 1.5, 20)
    sharp = rng.uniform(0.3, 1)  # of the reconstruction: white noise, or coarse
    speckle = noise.standard_normal((size, size), np.float32)
    speckle *= sharp * grain
    speckle += (2.5 * (1 - sharp) / sharp) * smooth(speckle, 1)
    image += speckle * np.where(image > 60, np.float32(1), np.float32(0.45))  # less in air
    image -= OUTSIDE
    image *= np.float32(rng.normal(1, 0.035))
    image += OUTSIDE
    image[pen.x**2 + pen.y**2 > rng.uniform(0.97, 1.35) ** 2] = OUTSIDE
    return np.clip(image, OUTSIDE, 255, out=image)


def _field(rng: np.random.Generator, size: int, knots: int, amount: float) -> Array:
    """Return a smooth random image, (size, size) float32, by interpolation between a few knots a side."""
    coarse = rng.standard_normal((knots + 1, knots + 1), np.float32) * np.float32(amount)
    place = np.arange(size) * (knots / size)
    low = place.astype(np.intp)
    part = (place - low).astype(np.float32)
    rows = coarse[low] + (coarse[low + 1] - coarse[low]) * part[:, None]
    return rows[:, low] + (rows[:, low + 1] - rows[:, low]) * part


def smooth(image: Array, passes: float) -> Array:
    """Return the image after passes of the binomial filter 1-2-1 along both axes; a part of a pass works in part."""
    for strength in [1.0] * int(passes) + [passes % 1] * (passes % 1 > 0):
        padded = np.pad(image, 1, mode="edge")
        rows: Array = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        smoother = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) * np.float32(1 / 16)
        image = image + (smoother - image) * np.float32(strength)
    return image
