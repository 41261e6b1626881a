"""Item2vec: items that are taken near one another get vectors that point the same way (Barkan, Koenigstein 2016).

Skip-gram with negative sampling (Mikolov et al. 2013), fitted by `gensim`, on histories as sentences of liked items:
each item's input vector e learns to tell the items within `window` of it from others, drawn by n^ns_exponent, by the
inner product with their output vectors o. In time order where times tell one; as sets, in a new order for each epoch,
where they do not, which is the paper's own way when the window is as wide as the longest history.

A history is the mean of its items' vectors, weighted and decaying with age, and scores item k by

    score_k = sum_i s_i (e_i . t_k + popularity ln n_k) / sum_i |s_i|,   s_i = sign(w_i) |w_i|^power 2^(-age_i / half)

with age counted in distinct items that came later and t the output vectors (what comes next) or the input ones (what is
alike). At its optimum e_i . o_k is ln P(k near i) less ns_exponent ln n_k and a constant (Levy, Goldberg 2014), so
`popularity` about ns_exponent makes a score of output vectors rank by P. Dislikes teach nothing, and count in a history
against what they are near.
Fitting costs O(epochs events window (1 + negative) D), in one thread; memory 16 N D bytes and the events as text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig, NoData, NotFinite
from recommender.engine.trainers import Arrays, Options
from recommender.engine.trainers.neighbours import Told, check, strengths

CHUNK = 50_000  # events between two words about progress: about a second
LONGEST = 10_000  # items of a sentence; gensim leaves out what lies beyond
TARGETS = ("output", "input")


@dataclass(frozen=True)
class Item2vecConfig:
    factors: int = field(default=64, metadata={"tune": (32, 64, 128)})
    """D - 1, the length of a vector without the popularity."""
    window: int = field(default=3, metadata={"tune": (1, 3, 5, 10, 30)})
    """How far to either side of an item a neighbour may be; nearer ones are looked at more often."""
    negative: int = field(default=5, metadata={"tune": (5, 10, 20)})
    """Items drawn against each neighbour."""
    ns_exponent: float = field(default=0.75, metadata={"tune": (0.0, 0.5, 0.75, 1.0)})
    """Items are drawn by n^ns_exponent, n being how often they occur."""
    epochs: int = field(default=10, metadata={"tune": (5, 10, 20)})
    """Passes over all histories."""
    sample: float = field(default=0.0, metadata={"tune": (0.0, 0.0001, 0.001)})
    """Share of all events above which an item is left out now and then, so that the rest is seen more; 0: none is."""
    learning_rate: float = field(default=0.05, metadata={"tune": (0.025, 0.05, 0.1)})
    """At first; it falls evenly to a hundredth of this."""
    target: str = field(default="output", metadata={"tune": TARGETS})
    """What a history's vector is compared with: `output`, what comes near; `input`, what is alike."""
    popularity: float = field(default=0.5, metadata={"tune": (0.0, 0.25, 0.5, 0.75, 1.0)})
    """What an e-fold of an item's likes adds to its score."""
    half_life_items: float = field(default=1.0, metadata={"tune": (0.0, 1.0, 3.0, 10.0, 30.0)})
    """Later distinct items after which an item of a history counts half; 0 turns that off."""
    power: float = field(default=0.0, metadata={"tune": (0.0, 0.5)})
    """Strength of an item in a history: |summed weight| ** power. 0 makes all likes alike."""

    def __post_init__(self) -> None:
        check("factors", self.factors, 1, 2048, whole=True)
        check("window", self.window, 1, 1000, whole=True)
        check("negative", self.negative, 1, 1000, whole=True)
        check("ns_exponent", self.ns_exponent, -2, 2)
        check("epochs", self.epochs, 1, 1000, whole=True)
        check("sample", self.sample, 0, 1)
        check("learning_rate", self.learning_rate, 1e-6, 10)
        check("popularity", self.popularity, 0, 10)
        check("half_life_items", self.half_life_items, 0)
        check("power", self.power, 0, 2)
        if self.target not in TARGETS:
            raise InvalidConfig(f"target must be one of {', '.join(TARGETS)}.")


@dataclass(frozen=True)
class Item2vecQuery:
    item_vectors: NDArray[np.float32]
    """(N, D): t, and popularity ln n in the last column."""
    input_vectors: NDArray[np.float32]
    """(N, D): e, and 1 in the last column where the item is known."""
    power: float
    half_life_items: float

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        told = Told.of(histories, len(self.item_vectors))
        shares = self._shares(told, len(histories))
        result = np.zeros((len(histories), self.item_vectors.shape[1]), dtype=np.float32)
        bounds = np.searchsorted(told.user_rows, np.arange(len(histories) + 1))
        for b, (start, stop) in enumerate(pairwise(bounds)):
            result[b] = shares[start:stop] @ self.input_vectors[told.item_rows[start:stop]]
        return result

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        return self.vectors(histories) @ self.item_vectors.T

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Exact: each item's part of the mean; repeats share theirs by weight."""
        told = Told.of(histories, len(self.item_vectors))
        per_item = self.input_vectors[told.item_rows] @ self.item_vectors[item_rows].T
        per_item *= self._shares(told, len(histories))[:, None]
        sums = told.sums[told.event_places]
        share = np.divide(histories.weights, sums, out=np.zeros_like(sums), where=sums != 0)
        return per_item[told.event_places] * share[:, None]

    def _shares(self, told: Told, users: int) -> NDArray[np.float32]:
        """s_i / sum_i |s_i|, float32 (M,)."""
        s = strengths(told.sums, self.power)
        if self.half_life_items:
            s = s * np.exp2(-told.ages / self.half_life_items).astype(np.float32)
        total = np.bincount(told.user_rows, weights=np.abs(s), minlength=users)
        return (s / np.maximum(total, np.finfo(np.float32).tiny)[told.user_rows]).astype(np.float32)


class Item2vecTrainer:
    Config = Item2vecConfig

    @staticmethod
    def fit(data: Interactions, config: Item2vecConfig, options: Options) -> Arrays:
        """`item_vectors` and `input_vectors` float32 (N, D); zeros where nobody likes an item.

        Runs in one thread, whatever is allowed, for gensim's threads write over one another. Raises NoData, NotFinite.
        """
        from gensim.models import Word2Vec

        liked = data.where(data.weights > 0)
        if not len(liked):
            raise NoData()
        taken = np.bincount(liked.item_rows, minlength=data.shape[1])
        model = Word2Vec(
            vector_size=config.factors,
            window=config.window,
            min_count=1,
            sample=config.sample,
            seed=options.seed % 2**32,
            workers=1,
            sg=1,
            negative=config.negative,
            ns_exponent=config.ns_exponent,
        )
        model.build_vocab_from_freq({str(row): int(taken[row]) for row in np.flatnonzero(taken)})
        random = np.random.default_rng(options.seed)
        done, total = 0, config.epochs * len(liked)
        for epoch in range(config.epochs):
            for sentences in _chunks(liked, random):
                events = sum(map(len, sentences))
                model.train(
                    sentences,
                    total_examples=len(sentences),
                    epochs=1,
                    start_alpha=_rate(config, done / total),
                    end_alpha=_rate(config, (done + events) / total),
                )
                done += events
                options.progress(done / total, f"epoch {epoch + 1} of {config.epochs}")
        rows = np.array([int(word) for word in model.wv.index_to_key])
        vectors = np.zeros((2, data.shape[1], config.factors + 1), dtype=np.float32)
        vectors[0, rows, :-1] = model.syn1neg if config.target == "output" else model.wv.vectors
        vectors[0, rows, -1] = config.popularity * np.log(taken[rows])
        vectors[1, rows, :-1], vectors[1, rows, -1] = model.wv.vectors, 1
        if not np.isfinite(vectors).all():
            raise NotFinite("Lower learning_rate.")
        return {"item_vectors": vectors[0], "input_vectors": vectors[1]}

    @staticmethod
    def query(arrays: Arrays, config: Item2vecConfig) -> Item2vecQuery:
        return Item2vecQuery(arrays["item_vectors"], arrays["input_vectors"], config.power, config.half_life_items)


def _rate(config: Item2vecConfig, share: float) -> float:
    return config.learning_rate * (1 - 0.99 * share)


def _chunks(liked: Interactions, random: np.random.Generator) -> Iterator[list[list[str]]]:
    """Every user's items once, users in random order, as lists of about CHUNK items in all."""
    words = liked.item_rows.astype(str).tolist()
    chunk: list[list[str]] = []
    events = 0
    for user in random.permutation(len(liked.users)):
        start, stop = int(liked.indptr[user]), int(liked.indptr[user + 1])
        own = words[start:stop]
        if not liked.timed:
            random.shuffle(own)
        chunk += [own[first : first + LONGEST] for first in range(0, len(own), LONGEST)]
        events += len(own)
        if events >= CHUNK:
            yield chunk
            chunk, events = [], 0
    if chunk:
        yield chunk
