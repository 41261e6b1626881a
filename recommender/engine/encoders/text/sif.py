"""A text as the mean of its words' vectors, frequent words counting less and without what all texts share: "smooth
inverse frequency" (Arora, Liang, Ma 2017, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings").

    v_s = mean over words w of a / (a + p_w) v_w,    then v_s - u u' v_s,    then to length 1

p_w is how large a part of all words w is, and u the first singular vector of the catalogue's v_s. What word2vec and
glove share.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit
from recommender.engine.encoders import Arrays
from recommender.engine.encoders.text.words import words

A = 1e-3  # the paper's, good for any corpus: words rarer than one in a thousand count nearly in full
FEWEST = 20  # texts that tell what all have in common; of a few, it would be what they say
MOST = 50_000  # texts that are looked at for it
_PARTS = re.compile("['’]")


class WordVectors:
    """Thread-safe; each text's vector depends on that text alone."""

    def __init__(self, arrays: Arrays) -> None:
        vocabulary = json.loads(arrays["vocabulary"].tobytes())
        self.rows = {word: row for row, word in enumerate(vocabulary)}
        self.vectors, self.weights, self.common = arrays["vectors"], arrays["weights"], arrays["common"]
        self.dimension = int(self.vectors.shape[1])

    def encode(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        found = self.means(inputs)
        return unit(found - (found @ self.common)[:, None] * self.common)

    def means(self, inputs: Sequence[str]) -> NDArray[np.float32]:
        """v_s of each text with what they have in common still in it, float32 (B, D)."""
        found = np.zeros((len(inputs), self.dimension), dtype=np.float32)
        for place, text in enumerate(inputs):
            rows = [self.rows[word] for word in self._known(words(text))]
            if rows:
                found[place] = self.weights[rows] @ self.vectors[rows] / len(rows)
        return found

    def _known(self, said: Iterable[str]) -> Iterable[str]:
        """Those that have a vector; of "children's", which may have none, its parts."""
        for word in said:
            if word in self.rows:
                yield word
            else:
                yield from (part for part in _PARTS.split(word) if part in self.rows)


def arrays_of(
    vocabulary: Sequence[str], vectors: NDArray[np.float32], shares: NDArray[np.float64], texts: Sequence[str]
) -> Arrays:
    """What WordVectors opens: `vocabulary` uint8, JSON; `vectors` float32 (V, D); `weights` float32 (V,); `common`
    float32 (D,), 0 where the texts are too few to tell.

    `shares` are p_w, float64 (V,).
    """
    arrays: dict[str, NDArray[Any]] = {
        "vocabulary": np.frombuffer(json.dumps(list(vocabulary), ensure_ascii=False).encode(), dtype=np.uint8),
        "vectors": vectors.astype(np.float32),
        "weights": (A / (A + shares)).astype(np.float32),
        "common": np.zeros(vectors.shape[1], dtype=np.float32),
    }
    means = WordVectors(arrays).means(texts[:: max(1, len(texts) // MOST)]).astype(np.float64)
    means = means[means.any(axis=1)]
    if len(means) >= FEWEST:
        arrays["common"] = np.linalg.eigh(means.T @ means)[1][:, -1].astype(np.float32)
    return arrays
