"""What can be said of a picture without having learned anything: its figure in a frame, the outline, the edges.

Everything is computed on small copies, SEEN pixels of a side.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from recommender.engine.data import pictures
from recommender.engine.encoders import Picture
from recommender.engine.encoders.image import figures, gradients

SEEN = 64  # pixels of a side that figures are looked for in
COARSE = 32  # pixels of a side of the coarser outlines and edges
BATCH = 64  # pictures looked at once


Framed = NDArray[np.float32]
"""(B, SEEN, SEEN, 4), from 0 to 1: red, green, blue in the figure's frame, and where the figure is in it."""


def framed(inputs: Sequence[Picture], figure: bool) -> Iterator[tuple[list[int], Framed]]:
    """The pictures that say something, each framed by its figure, and their rows, a batch at a time.

    Without `figure` the frame is the whole picture, and all of it figure, for pictures that show no single thing.
    """
    for rows, seen in squares(inputs, SEEN):
        if figure:
            yield rows, figures.framed(seen, figures.figures(seen), SEEN)
        else:
            everywhere = np.ones((*seen.shape[:3], 1), dtype=np.float32)
            yield rows, np.concatenate((seen.astype(np.float32) / 255, everywhere), axis=3)


def shown(frames: Framed, size: int) -> NDArray[np.float32]:
    """What a network sees of frames: (B, 4, size, size)."""
    layers = frames.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(layers if size == SEEN else figures.scaled(layers, size), dtype=np.float32)


def squares(inputs: Sequence[Picture], size: int) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """The pictures that say something, uint8 (B, size, size, 3), and their rows, a batch at a time."""
    for start in range(0, len(inputs), BATCH):
        some = [(row, inputs[row]) for row in range(start, min(start + BATCH, len(inputs)))]
        some = [(row, picture) for row, picture in some if not pictures.flat(picture)]
        if some:
            yield [row for row, _ in some], np.stack([square(picture, size) for _, picture in some])


def square(picture: Picture, size: int) -> NDArray[np.uint8]:
    """uint8 (size, size, 3), whatever its shape was: a shop's pictures are mostly of one shape, so that all are bent in
    the same way, and nothing is cut off."""
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0))


def outline(frames: Framed) -> NDArray[np.float32]:
    """The figure's outline: gradients of where it is."""
    return _mirrored(np.repeat(frames[..., 3:], 3, axis=3))


def coarse_outline(frames: Framed) -> NDArray[np.float32]:
    return outline(_coarse(frames))


def edges(frames: Framed) -> NDArray[np.float32]:
    """All edges: gradients of the colours."""
    return _mirrored(frames[..., :3])


def coarse_edges(frames: Framed) -> NDArray[np.float32]:
    return edges(_coarse(frames))


SAID: Mapping[str, Callable[[Framed], NDArray[np.float32]]] = {
    "outline": outline,
    "coarse_outline": coarse_outline,
    "edges": edges,
    "coarse_edges": coarse_edges,
}
"""By name: features float32 (B, F) of a batch of frames."""


def _coarse(frames: Framed) -> Framed:
    return figures.scaled(frames.transpose(0, 3, 1, 2), COARSE).transpose(0, 2, 3, 1)


def _mirrored(layers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Histograms of gradients of pictures from 0 to 1, the mean of each and its mirror image."""
    both = gradients.histograms(layers) + gradients.histograms(layers[:, :, ::-1])
    return both / np.float32(2)
