"""Hashing: words and their parts, each counted at a place that its hash names (Weinberger et al. 2009, "Feature Hashing
for Large Scale Multitask Learning").

A text's features are its words and the 3-grams of its words' letters, so that "candle" and "candles" are near each
other. Each feature f adds sign(f) (1 + ln n_f), n_f being how often it occurs, at place hash(f) mod D; that the signs
differ makes inner products right on average, whatever falls onto one place. Learns nothing and needs no model.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays
from recommender.engine.encoders.settings import check
from recommender.engine.encoders.text.words import words
from recommender.engine.options import Options


@dataclass(frozen=True)
class HashingConfig:
    dimension: int = 512
    """D. More of it lets fewer features fall onto one place."""
    gram: int = 3
    """Letters of a part; 0 looks at whole words only."""
    gram_weight: float = 0.5
    """What a part counts, beside a word's 1."""

    def __post_init__(self) -> None:
        check("dimension", self.dimension, 8, 65_536, whole=True)
        check("gram", self.gram, 0, 10, whole=True)
        check("gram_weight", self.gram_weight, 0, 10)


class Hashing:
    def __init__(self, config: HashingConfig) -> None:
        self.config = config
        self.dimension = config.dimension

    def encode(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for row, text in enumerate(inputs):
            found[row] = self._counted(words(text))
        return unit(found)

    def _counted(self, said: list[str]) -> NDArray[np.float64]:
        counts, parts = Counter(said), Counter[str]()
        if self.config.gram and self.config.gram_weight:
            for word, count in counts.items():
                marked = f"<{word}>"  # so that no part is a word, and that beginnings and ends are told from middles
                for start in range(len(marked) - self.config.gram + 1):
                    parts[f"<{marked[start : start + self.config.gram]}"] += count
        weights = np.ones(len(counts) + len(parts))
        weights[len(counts) :] = self.config.gram_weight
        weights *= 1 + np.log(np.fromiter([*counts.values(), *parts.values()], np.float64, len(weights)))
        hashes = np.fromiter((crc32(feature.encode()) for feature in (*counts, *parts)), np.uint32, len(weights))
        hashes = _mixed(hashes)
        signs = np.where(hashes >> np.uint32(31), 1.0, -1.0)
        places = hashes % np.uint32(self.dimension)
        return np.bincount(places, signs * weights, minlength=self.dimension).astype(np.float64)


class HashingEncoder:
    modality: ClassVar[str] = "text"
    Config = HashingConfig

    @staticmethod
    def fit(inputs: Sequence[str], config: HashingConfig, options: Options) -> Arrays:
        """`dimension` int64 (1,), all there is to say."""
        options.progress(1.0, "nothing to learn")
        return {"dimension": np.array([config.dimension])}

    @staticmethod
    def open(arrays: Arrays, config: HashingConfig) -> Hashing:
        return Hashing(config)


def _mixed(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Every bit in with every other, as MurmurHash3 ends: the bits of a CRC alone are sums of the letters' bits."""
    hashes = hashes ^ (hashes >> np.uint32(16))
    hashes = hashes * np.uint32(0x85EBCA6B)
    hashes = hashes ^ (hashes >> np.uint32(13))
    hashes = hashes * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))
