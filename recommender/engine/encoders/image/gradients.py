"""Which way edges run, and where: histograms of oriented gradients.

Dalal and Triggs 2005, "Histograms of Oriented Gradients for Human Detection": the picture in cells, in each cell how
strong the edges of each direction are, the cells in overlapping blocks of 2 by 2 that are brought to one length, so
that light and contrast do not matter. Learns nothing.
"""

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = 9  # from 0 to 180 degrees: edges, whichever side of them is light
CELL = 8  # pixels of a side
HIGHEST = 0.2  # that a value of a block may have, the paper's L2-Hys
SOFT = 1e-2  # added to lengths, so that noise in a smooth block is not blown up


def length(size: int) -> int:
    """G, the length of the histograms of a picture of `size` by `size` pixels."""
    return (size // CELL - 1) ** 2 * 4 * DIRECTIONS


def histograms(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (B, G) of pictures (B, size, size, 3), from 0 to 1, size a multiple of CELL and at least 2 CELL."""
    grey = pictures.mean(axis=3, dtype=np.float32)
    down, right = np.zeros_like(grey), np.zeros_like(grey)
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    right[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    strength = np.hypot(down, right)
    direction = np.arctan2(down, right) % np.pi * (DIRECTIONS / np.pi)
    below = np.floor(direction)
    above_share = direction - below
    first = below.astype(np.int64) % DIRECTIONS
    count, size = grey.shape[:2]
    cells = np.empty((count, size // CELL, size // CELL, DIRECTIONS), dtype=np.float32)
    for number in range(DIRECTIONS):
        share = (first == number) * (1 - above_share) + ((first + 1) % DIRECTIONS == number) * above_share
        parts = (strength * share).reshape(count, size // CELL, CELL, size // CELL, CELL)
        cells[..., number] = parts.sum(axis=(2, 4))
    last = cells.shape[1] - 1
    blocks = np.concatenate([cells[:, y : y + last, x : x + last] for y in (0, 1) for x in (0, 1)], axis=3)
    blocks = np.minimum(_short(blocks), HIGHEST)
    return _short(blocks).reshape(count, -1)


def _short(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(blocks, axis=-1, keepdims=True)
    return np.asarray(blocks / (lengths + SOFT), dtype=np.float32)
