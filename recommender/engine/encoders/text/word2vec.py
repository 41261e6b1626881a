"""Word2vec: words that stand near one another in the shop's own texts get vectors that point the same way (Mikolov et
al. 2013, skip-gram with negative sampling, fitted by gensim); a text is their weighted mean, see sif.

It knows the shop's words, in any language, and no others: a text of unknown words says nothing to it. Costs
O(epochs words window negative D), in one thread: about 3 s for each million words and epoch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from sys import intern
from typing import ClassVar

import numpy as np

from recommender.engine.encoders import Arrays, Opened
from recommender.engine.encoders.settings import check
from recommender.engine.encoders.text.sif import WordVectors, arrays_of
from recommender.engine.encoders.text.words import words
from recommender.engine.errors import NoData, NotFinite
from recommender.engine.options import Options

CHUNK = 50_000  # words between two words about progress


@dataclass(frozen=True)
class Word2vecConfig:
    dimension: int = 100
    """D."""
    window: int = 5
    """How far to either side of a word another may be to count as near."""
    negative: int = 5
    """Words drawn against each neighbour."""
    epochs: int = 5
    """Passes over all texts; small catalogues want more, see `least_words`."""
    least_words: int = 500_000
    """Words to learn from in all: a catalogue of fewer is gone over more often than `epochs`, 50 times at most."""
    min_count: int = 2
    """Words that occur less often get no vector."""
    sample: float = 1e-3
    """Share of all words above which a word is left out now and then."""
    learning_rate: float = 0.025
    """At first; it falls evenly to a hundredth of this."""

    def __post_init__(self) -> None:
        check("dimension", self.dimension, 2, 2048, whole=True)
        check("window", self.window, 1, 100, whole=True)
        check("negative", self.negative, 1, 100, whole=True)
        check("epochs", self.epochs, 1, 1000, whole=True)
        check("least_words", self.least_words, 0, 10**9, whole=True)
        check("min_count", self.min_count, 1, 10**6, whole=True)
        check("sample", self.sample, 0, 1)
        check("learning_rate", self.learning_rate, 1e-6, 10)


class Word2vecEncoder:
    modality: ClassVar[str] = "text"
    Config = Word2vecConfig

    @staticmethod
    def fit(inputs: Sequence[str], config: Word2vecConfig, options: Options) -> Arrays:
        """See sif.arrays_of. `inputs` are the catalogue's texts, and its reviews where they are given too.

        Runs in one thread, whatever is allowed, for gensim's threads write over one another. Raises NoData, NotFinite.
        """
        options.progress(0.0, "reading the texts")
        sentences = [[intern(word) for word in words(text)] for text in inputs]
        total = sum(map(len, sentences))
        if not total:
            raise NoData("None of the texts has a word.")
        from gensim.models import Word2Vec

        model = Word2Vec(
            vector_size=config.dimension,
            window=config.window,
            min_count=config.min_count,
            sample=config.sample,
            negative=config.negative,
            sg=1,
            workers=1,
            seed=options.seed % 2**32,
        )
        model.build_vocab(sentences)
        if not len(model.wv):
            raise NoData(f"No word occurs {config.min_count} times; lower min_count.")
        epochs = max(config.epochs, min(50, -(-config.least_words // total)))
        done, random = 0, np.random.default_rng(options.seed)
        for epoch in range(epochs):
            for chunk in _chunks(sentences, random):
                size = sum(map(len, chunk))
                begin, end = (config.learning_rate * (1 - 0.99 * at / (epochs * total)) for at in (done, done + size))
                model.train(chunk, total_examples=len(chunk), epochs=1, start_alpha=begin, end_alpha=end)
                done += size
                options.progress(0.95 * done / (epochs * total), f"epoch {epoch + 1} of {epochs}")
        vectors = model.wv.vectors
        if not np.isfinite(vectors).all():
            raise NotFinite("Lower learning_rate.")
        counts = np.array([model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key], dtype=np.float64)
        return arrays_of(model.wv.index_to_key, vectors, counts / total, inputs)

    @staticmethod
    def open(arrays: Arrays, config: Word2vecConfig) -> Opened:
        return WordVectors(arrays)


def _chunks(sentences: list[list[str]], random: np.random.Generator) -> Iterator[list[list[str]]]:
    """All texts once, in random order, as lists of about CHUNK words in all."""
    chunk: list[list[str]] = []
    size = 0
    for row in random.permutation(len(sentences)):
        chunk.append(sentences[row])
        size += len(sentences[row])
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if size:
        yield chunk
