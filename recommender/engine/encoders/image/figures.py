"""What a picture shows, told from what it lies on: a shop's photos have one thing in the middle of some background.

Background is what can be reached from the edge without crossing a barrier (Zhang et al. 2015, "Minimum Barrier Salient
Object Detection at 80 FPS"), and what has the edge's colours. Then the thing is brought to one place and size, so that
outlines can be compared, whatever the photographer did. Learns nothing; in NumPy, a batch at a time.

B pictures, S pixels of a side.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]
"""(B, S, S), from 0, background, to 1, figure."""
Lines = tuple[NDArray[np.float32], ...]
"""A line of each of several layers, or whole layers."""

PASSES = 3  # over the picture in each of four directions: paths with more turns than that are not seen
EDGE = 5  # pixels from the edge that are taken for background
NOISE = 2e-3  # of colours, squared: edges of one plain colour have at least this much variance
CENTRED = 0.8  # how fast belief in a figure fades towards the edges: exp(-CENTRED r^2), r = 1 at the middle of a side
ROUNDS = 10  # of finding the threshold; it settles in about five
STEEP = 7.0  # of the step from background to figure, in the distance between their means
REACH = 2.6  # deviations of the figure's places that its frame shows to each side
SPREADS = (0.05, 0.6)  # least and most such deviation, in halves of the picture


def figures(pictures: NDArray[np.uint8]) -> Maps:
    """Where the figure is in each of `pictures` uint8 (B, S, S, 3), holes in it filled. O(B S^2)."""
    colours = _blurred(_opponent(pictures))
    barriers = _barriers(colours.transpose(3, 0, 1, 2)).sum(axis=0)
    belief = _ranged(_ranged(barriers) + _ranged(_unlike_edges(colours)))
    places = np.linspace(-1, 1, belief.shape[1], dtype=np.float32) ** 2
    belief = _ranged(belief * np.exp(-CENTRED * (places[:, None] + places)))
    middle, distance = _threshold(belief)
    found = 1 / (1 + np.exp(-STEEP * (belief - middle) / (distance + 1e-3)))
    return _filled(found.astype(np.float32))


def framed(pictures: NDArray[np.uint8], maps: Maps, size: int) -> NDArray[np.float32]:
    """The figures, each brought to the middle and to the same width and height: float32 (B, size, size, 4), red, green,
    blue and the map, from 0 to 1. Beyond the picture's edge its outermost pixels go on."""
    middle_x, middle_y, spread_x, spread_y = frames(maps)
    down, right = (
        _interpolation(middle, REACH * spread, maps.shape[1], size)
        for middle, spread in ((middle_y, spread_y), (middle_x, spread_x))
    )
    both: NDArray[np.float32] = np.concatenate((pictures.astype(np.float32) / 255, maps[..., None]), axis=3)
    layers = both.transpose(0, 3, 1, 2)
    across: NDArray[np.float32] = layers @ right[:, None].transpose(0, 1, 3, 2)
    found = down[:, None] @ across
    return np.asarray(np.clip(found.transpose(0, 2, 3, 1), 0, 1))


def scaled(layers: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Layers (..., S, S) as (..., size, size)."""
    nothing, whole = np.zeros(1, dtype=np.float32), np.ones(1, dtype=np.float32)
    way = _interpolation(nothing, whole, layers.shape[-1], size)[0]
    return np.asarray(way @ layers @ way.T)


def frames(maps: Maps) -> tuple[NDArray[np.float32], ...]:
    """Each figure's middle (B,) across and down, from -1 to 1, and the deviation of its places from it."""
    weights = maps**2
    places = ((np.arange(maps.shape[1]) + 0.5) / maps.shape[1] * 2 - 1).astype(np.float32)
    found = []
    for axis in (1, 2):
        along = weights.sum(axis=axis)
        along = along / np.maximum(along.sum(axis=1, keepdims=True), 1e-6)
        middle = along @ places
        spread = np.sqrt((along * (places - middle[:, None]) ** 2).sum(axis=1))
        found.append((middle, np.clip(spread, *SPREADS)))
    (across, wide), (down, high) = found
    return across, down, wide, high


def _opponent(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Lightness, red against green, and both against blue: (B, S, S, 3)."""
    levels = pictures.astype(np.float32) / 255
    red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
    return np.stack(((red + green + blue) / 3, (red - green) / 1.4, (red + green - 2 * blue) / 2.5), axis=3)


def _blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each place the mean of 3 by 3: (B, S, S, C)."""
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9)


def _barriers(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each place, the least range of values (..., S, S) that a path from the edge has to cross."""
    shape = values.shape
    values = np.ascontiguousarray(values).reshape(-1, *shape[-2:])
    found, highest, lowest = np.full_like(values, np.inf), values.copy(), values.copy()
    found[:, [0, -1]] = found[:, :, [0, -1]] = 0

    def step(here: Lines, before: Lines) -> None:
        value, best, high, low = here
        reached_high, reached_low = np.maximum(before[2], value), np.minimum(before[3], value)
        barrier = reached_high - reached_low
        better = barrier < best
        np.copyto(best, barrier, where=better)
        np.copyto(high, reached_high, where=better)
        np.copyto(low, reached_low, where=better)

    _swept((values, found, highest, lowest), step)
    return found.reshape(shape)


def _filled(maps: Maps) -> Maps:
    """What is enclosed by figure is figure: the least that a path from the edge has to climb to."""
    found = np.ones_like(maps)
    for axis in (1, 2):
        edge = (slice(None),) * axis + ([0, -1],)
        found[edge] = maps[edge]

    def step(here: Lines, before: Lines) -> None:
        np.minimum(here[1], np.maximum(before[1], here[0]), out=here[1])

    _swept((maps, found), step)
    return found


def _swept(layers: Lines, step: Callable[[Lines, Lines], None]) -> None:
    """Call `step` with each line of the layers (B, S, S) and the line before it: down, right, up, left, PASSES
    times."""
    turned = tuple(layer.transpose(0, 2, 1) for layer in layers)
    size = layers[0].shape[1]
    for _ in range(PASSES):
        for back in (1, -1):
            for way in (layers, turned):
                for line in range(1, size) if back == 1 else range(size - 2, -1, -1):
                    step(tuple(layer[:, line] for layer in way), tuple(layer[:, line - back] for layer in way))


def _unlike_edges(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far each place's colours are from those of three of the four edges, the least alike left out, since a figure
    may touch it; Mahalanobis distances, the sum (B, S, S)."""
    count = len(colours)
    edges = (colours[:, :EDGE], colours[:, -EDGE:], colours[:, :, :EDGE], colours[:, :, -EDGE:])
    distances = []
    for edge in edges:
        part = edge.reshape(count, -1, 3)
        mean = part.mean(axis=1)
        away = part - mean[:, None]
        covariance = away.transpose(0, 2, 1) @ away / part.shape[1] + np.eye(3, dtype=np.float32) * NOISE
        off = (colours - mean[:, None, None]).reshape(count, -1, 3)
        squared = (off @ np.linalg.inv(covariance) * off).sum(axis=2)
        distance = np.sqrt(np.maximum(squared, 0)).reshape(colours.shape[:3])
        distances.append(distance / np.maximum(distance.max(axis=(1, 2), keepdims=True), 1e-6))
    every = np.stack(distances)
    return np.asarray(every.sum(axis=0) - every.max(axis=0))


def _ranged(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each map from 0 to 1."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    return np.asarray((maps - low) / (high - low + 1e-6))


def _threshold(maps: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Halfway between the means of what lies above and below it, (B, 1, 1), and the distance of these (Ridler and
    Calvard 1978)."""
    middle = maps.mean(axis=(1, 2), keepdims=True)
    above = below = middle
    for _ in range(ROUNDS):
        high = maps > middle
        above = (maps * high).sum(axis=(1, 2), keepdims=True) / np.maximum(high.sum(axis=(1, 2), keepdims=True), 1)
        below = (maps * ~high).sum(axis=(1, 2), keepdims=True) / np.maximum((~high).sum(axis=(1, 2), keepdims=True), 1)
        middle = (above + below) / 2
    return middle, above - below


def _interpolation(
    middle: NDArray[np.float32], reach: NDArray[np.float32], size: int, wanted: int
) -> NDArray[np.float32]:
    """What makes `wanted` places, from middle - reach to middle + reach, of `size` pixels: (B, wanted, size), linear,
    and wider where several pixels fall into one place."""
    steps = ((np.arange(wanted) + 0.5) / wanted * 2 - 1).astype(np.float32)
    places = ((middle[:, None] + reach[:, None] * steps + 1) / 2 * size - 0.5).clip(0, size - 1)
    width = np.maximum(1, reach * size / wanted)[:, None, None]
    weights = np.maximum(0, 1 - np.abs(np.arange(size, dtype=np.float32) - places[..., None]) / width)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), dtype=np.float32)
