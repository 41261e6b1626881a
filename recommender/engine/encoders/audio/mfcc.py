"""MFCC: the smoothed spectrum of each part of a sound, and how it moves. The floor that others are measured against.

Davis and Mermelstein 1980; slopes after Furui 1986. The sound without the silence around it is cut into equal parts;
each says the means of its cepstra and of their slopes, and the whole says their deviations. What varies between the
shop's sounds is turned down by the root of how much it does, so that the first cepstra do not drown the others.
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


@dataclass(frozen=True)
class MfccConfig:
    coefficients: int = 13
    """C. The first, loudness, counts only in how it moves and varies."""
    parts: int = 6
    """S, equal lengths of time. 1 forgets the order of things."""

    def __post_init__(self) -> None:
        check("coefficients", self.coefficients, 2, features.BANDS, whole=True)
        check("parts", self.parts, 1, 64, whole=True)


class Mfcc:
    def __init__(self, mean: NDArray[np.float32], scale: NDArray[np.float32], config: MfccConfig) -> None:
        self.mean, self.scale, self.config = mean, scale, config
        self.dimension = len(mean)

    def encode(self, inputs: Sequence[Sound]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for row, sound in enumerate(inputs):
            if not features.silent(sound):
                found[row] = (told(sound, self.config) - self.mean) * self.scale
        return unit(found)


class MfccEncoder:
    modality: ClassVar[str] = "audio"
    Config = MfccConfig

    @staticmethod
    def fit(inputs: Sequence[Sound], config: MfccConfig, options: Options) -> Arrays:
        """`mean` and `scale`, float32 (D,), D = (2 S + 2) C - S - 1; without inputs 0 and 1."""
        rows = []
        for place, sound in enumerate(inputs):
            if place % TELL_EVERY == 0:
                options.progress(place / len(inputs), "listening")
            if not features.silent(sound):
                rows.append(told(sound, config))
        options.progress(1.0, f"{len(rows)} sounds heard")
        length = (2 * config.parts + 2) * config.coefficients - config.parts - 1
        if len(rows) < 2:
            return {"mean": np.zeros(length, dtype=np.float32), "scale": np.ones(length, dtype=np.float32)}
        seen = np.stack(rows).astype(np.float64)
        scale = 1 / np.sqrt(np.maximum(seen.std(axis=0), 1e-3))
        return {"mean": seen.mean(axis=0).astype(np.float32), "scale": scale.astype(np.float32)}

    @staticmethod
    def open(arrays: Arrays, config: MfccConfig) -> Mfcc:
        return Mfcc(np.asarray(arrays["mean"]), np.asarray(arrays["scale"]), config)


def told(sound: Sound, config: MfccConfig) -> NDArray[np.float32]:
    """Means of cepstra (S, C - 1) and of slopes (S, C), then deviations (C - 1,) and (C,)."""
    bands = features.log_mel(sound)
    cepstra = features.cepstra(bands, config.coefficients)
    heard = features.active(bands)
    slopes, cepstra = features.deltas(cepstra)[heard], cepstra[heard, 1:]
    means = [features.stretched(each, config.parts).ravel() for each in (cepstra, slopes)]
    return np.concatenate([*means, cepstra.std(axis=0), slopes.std(axis=0)])
