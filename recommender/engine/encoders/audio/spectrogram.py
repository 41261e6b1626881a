"""Spectrogram: what sounds when at which height, in a pyramid of ever smaller cells, weighed by what varies.

The sound without the silence around it is a picture of mel bands over time, each moment without its loudness. Like the
spatial pyramids of pictures (Lazebnik et al. 2006) it is averaged in cells of several sizes, in levels and in slopes.
The principal directions of the shop's own sounds are whitened in part: directions in which all differ count less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.sounds import Sound
from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays
from recommender.engine.encoders.audio import features
from recommender.engine.encoders.settings import check
from recommender.engine.options import Options

TELL_EVERY = 64  # sounds between two words about progress
CELLS = ((8, 24), (4, 12), (2, 6))  # of each level: parts of time, parts of height
LENGTH = 2 * sum(times * heights for times, heights in CELLS)
MOST = 20_000  # sounds that directions are learned from: (MOST, LENGTH) float32 takes 39 MiB


@dataclass(frozen=True)
class SpectrogramConfig:
    dimension: int = 128
    """D at most: as many directions are kept, those in which the shop's sounds differ most."""
    whitening: float = 0.25
    """From 0, directions count by their deviation, to 1, all count the same."""
    timbre: float = 0.5
    """What a sound's mean spectrum counts, beside how it changes: voices, instruments, rooms and microphones."""

    def __post_init__(self) -> None:
        check("dimension", self.dimension, 2, LENGTH, whole=True)
        check("whitening", self.whitening, 0, 1)
        check("timbre", self.timbre, 0.01, 10)


class Spectrogram:
    def __init__(self, mean: NDArray[np.float32], directions: NDArray[np.float32], config: SpectrogramConfig) -> None:
        self.mean, self.directions, self.config = mean, directions, config
        self.dimension = directions.shape[1]

    def encode(self, inputs: Sequence[Sound]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for row, sound in enumerate(inputs):
            if not features.silent(sound):
                found[row] = (pyramid(sound, self.config.timbre) - self.mean) @ self.directions
        return unit(found)


class SpectrogramEncoder:
    modality: ClassVar[str] = "audio"
    Config = SpectrogramConfig

    @staticmethod
    def fit(inputs: Sequence[Sound], config: SpectrogramConfig, options: Options) -> Arrays:
        """`mean` float32 (LENGTH,) and `directions` float32 (LENGTH, D); without inputs the pyramid as it is."""
        rows = []
        for place, sound in enumerate(inputs[:MOST]):
            if place % TELL_EVERY == 0:
                options.progress(place / min(len(inputs), MOST), "listening")
            if not features.silent(sound):
                rows.append(pyramid(sound, config.timbre))
        options.progress(1.0, f"{len(rows)} sounds heard")
        if len(rows) < 2:
            return {
                "mean": np.zeros(LENGTH, dtype=np.float32),
                "directions": np.eye(LENGTH, config.dimension, dtype=np.float32),
            }
        told = np.stack(rows).astype(np.float64)
        mean = told.mean(axis=0)
        spread, directions = np.linalg.eigh((told - mean).T @ (told - mean) / len(told))
        spread, directions = spread[::-1][: config.dimension], directions[:, ::-1][:, : config.dimension]
        # Directions below a millionth are rounding; they are not blown up.
        weights = np.maximum(spread, max(spread[0] * 1e-6, 1e-12)) ** (-config.whitening / 2)
        return {"mean": mean.astype(np.float32), "directions": (directions * weights).astype(np.float32)}

    @staticmethod
    def open(arrays: Arrays, config: SpectrogramConfig) -> Spectrogram:
        return Spectrogram(np.asarray(arrays["mean"]), np.asarray(arrays["directions"]), config)


def pyramid(sound: Sound, timbre: float) -> NDArray[np.float32]:
    """(LENGTH,): cells of levels, then of slopes, each kind of cell weighed so that all sizes count the same."""
    bands = features.log_mel(sound)
    bands = bands[features.active(bands)]
    bands -= bands.mean(axis=1, keepdims=True)
    mean = bands.mean(axis=0)
    told = []
    for frames in (bands - mean + timbre * mean, features.deltas(bands, reach=2)):
        for times, heights in CELLS:
            cells = features.stretched(features.stretched(frames, times).T, heights)
            told.append(cells.ravel() / np.sqrt(np.float32(cells.size)))
    return np.concatenate(told)
