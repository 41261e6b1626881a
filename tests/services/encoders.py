"""Encoders whose vectors can be told by looking: for tests of what is done with vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from recommender.engine.data.vectors import unit


@dataclass(frozen=True)
class NoConfig:
    pass


class MeanColour:
    """A picture's mean red, green and blue, but for grey."""

    dimension = 3

    def encode(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        means = np.array([picture.mean(axis=(0, 1)) for picture in inputs], dtype=np.float32).reshape(-1, 3)
        return unit(means - means.mean(axis=1, keepdims=True))


class MeanColourEncoder:
    modality: ClassVar[str] = "image"
    Config = NoConfig

    @staticmethod
    def fit(inputs: Sequence[Any], config: NoConfig, options: Any) -> dict[str, np.ndarray]:
        options.progress(1.0, "nothing to learn")
        return {"seen": np.array([len(inputs)])}

    @staticmethod
    def open(arrays: Any, config: NoConfig) -> MeanColour:
        return MeanColour()


class Loudness:
    """Loud or quiet, fast or slow: two numbers of a sound."""

    dimension = 2

    def encode(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        told = [[np.abs(sound).mean(), np.abs(np.diff(sound)).mean()] for sound in inputs]
        return unit(np.array(told, dtype=np.float32).reshape(-1, 2))


class LoudnessEncoder:
    modality: ClassVar[str] = "audio"
    Config = NoConfig

    @staticmethod
    def fit(inputs: Sequence[Any], config: NoConfig, options: Any) -> dict[str, np.ndarray]:
        return {"seen": np.array([0])}

    @staticmethod
    def open(arrays: Any, config: NoConfig) -> Loudness:
        return Loudness()
