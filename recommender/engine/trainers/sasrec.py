"""SASRec: what comes next after a history, by a transformer that reads it in order (Kang and McAuley 2018).

A pre-norm transformer (`learning/transformer.py`) reads the vectors of a history's last items; its output h_t at place
t is matched with the same item vectors, and P(next = i) = exp(h_t . e_i) / sum_j exp(h_t . e_j). All places of all
histories are learned from at once by cross-entropy over all items, or over a sample of them in large catalogues, which
ranks better than the paper's one negative per place (Klenitskiy and Vasilev 2023, "Turning Dross Into Gold Loss").

Every history begins with a learned start, so one event teaches something too and an empty history has an answer.
Dislikes and events without weight are left out. Items that nobody liked get the mean vector, hence a middling score.

An epoch costs O(E D (N + L + 12 D blocks)); memory 16 (N + 12 D blocks) D bytes and about 4 batch_tokens (L heads +
30 D) blocks bytes. Answering is one run of the blocks in ONNX Runtime per history, about a millisecond.

Settings chosen on validation parts (docs/benchmarks.md): long histories (median 94 events, MovieLens 1M) want
factors 128 and all other defaults; short ones (median 4, Amazon Beauty) max_length 50, dropout .5, weight_decay .3,
batch_tokens 4096, epochs 30. The learning rate matters most: at a third of it, 16 epochs reach three quarters as much.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.learning.descent import Descent
from recommender.engine.learning.onnx import Network
from recommender.engine.trainers import Arrays, Options
from recommender.engine.trainers.neighbours import check

GAPS = 32  # buckets of time between two events: powers of two in seconds, the last 2^30 s and more
ASKED = 64  # histories encoded at once at most
ASKED_PLACES = 16_384  # places (B x L) encoded at once at most, which bounds the attention to 50 MiB a head
EXPLAINED = 30  # last events whose part in a score is worked out by leaving each out


@dataclass(frozen=True)
class SasrecConfig(Descent):
    epochs: int = 40
    patience: int = 8
    learning_rate: float = field(default=3e-3, metadata={"tune": (1e-3, 3e-3, 6e-3)})
    weight_decay: float = field(default=0.0, metadata={"tune": (0.0, 0.01, 0.1)})
    factors: int = field(default=64, metadata={"tune": (64, 128)})
    """D, the length of a vector."""
    blocks: int = field(default=2, metadata={"tune": (1, 2, 3)})
    """Layers of attention and feed-forward."""
    heads: int = 2
    """Attentions per layer, each of D / heads."""
    max_length: int = field(default=200, metadata={"tune": (50, 200)})
    """Events of a history that are read, the last ones."""
    dropout: float = field(default=0.3, metadata={"tune": (0.1, 0.2, 0.3, 0.5)})
    """Share of numbers put to zero while learning, between layers."""
    negatives: int = 4096
    """Items drawn by popularity for each part of a batch, beside those that come next in it. 0, or a catalogue smaller
    than four times as many: all items."""
    batch_tokens: int = 8192
    """Events (padded) in a step at most; a shop of few events has smaller ones."""
    time_aware: bool = False
    """Whether an event also says how long after the one before it came; only where times are real."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("factors", self.factors, 1, 2048, whole=True)
        check("blocks", self.blocks, 1, 32, whole=True)
        check("heads", self.heads, 1, 64, whole=True)
        check("max_length", self.max_length, 1, 4096, whole=True)
        check("negatives", self.negatives, 0, 1_000_000, whole=True)
        check("batch_tokens", self.batch_tokens, 1, 1_000_000, whole=True)
        check("dropout", self.dropout, 0, 0.9)
        if self.factors % self.heads:
            raise InvalidConfig("factors must be a multiple of heads.")


@dataclass(frozen=True)
class Padded:
    """B histories' last items from the left, each after a start where it fits; rows and gaps int64 (B, L)."""

    rows: NDArray[np.int64]
    """Item rows, N for the start; N behind the end as well, which no place before it sees."""
    gaps: NDArray[np.int64]
    lengths: NDArray[np.int64]
    """(B,), the start included."""


def gaps(histories: Histories) -> NDArray[np.int64]:
    """Buckets 0 to 31 of the seconds since the same user's event before, int64 (E,); 0 for the first."""
    waited = np.diff(histories.times, prepend=histories.times[:1])
    starts = histories.indptr[:-1]
    waited[starts[np.diff(histories.indptr) > 0]] = 0
    return np.minimum(np.log2(np.maximum(waited, 0) + 1.0), GAPS - 1).astype(np.int64)


def liked(histories: Histories) -> Histories:
    """Only what speaks for an item."""
    keep = histories.weights > 0
    before = np.concatenate(([0], np.cumsum(keep)))
    return Histories(
        before[histories.indptr], histories.item_rows[keep], histories.weights[keep], histories.times[keep]
    )


@dataclass(frozen=True)
class Tokens:
    """All histories in one row, each behind its start: rows and gaps int64 (E + B,), indptr int64 (B+1,)."""

    indptr: NDArray[np.int64]
    rows: NDArray[np.int64]
    gaps: NDArray[np.int64]

    @classmethod
    def of(cls, histories: Histories, n: int) -> "Tokens":
        starts = histories.indptr[:-1]
        return cls(
            histories.indptr + np.arange(len(histories) + 1),
            np.insert(histories.item_rows.astype(np.int64), starts, n),
            np.insert(gaps(histories), starts, 0),
        )

    def padded(self, begins: NDArray[np.int64], ends: NDArray[np.int64], n: int, width: int = 0) -> Padded:
        """The tokens from `begins` to `ends`, int64 (B,); L is `width`, or the longest of them."""
        lengths = ends - begins
        places = begins[:, None] + np.arange(width or lengths.max(initial=1))
        inside = places < ends[:, None]
        places[~inside] = 0
        return Padded(np.where(inside, self.rows[places], n), np.where(inside, self.gaps[places], 0), lengths)

    def lately(self, max_length: int, n: int) -> Iterator[tuple[NDArray[np.int64], Padded]]:
        """Which histories, and the last tokens of each, at most `max_length`; those of like length together."""
        begins, ends = np.maximum(self.indptr[:-1], self.indptr[1:] - max_length), self.indptr[1:]
        order = np.argsort(ends - begins, kind="stable")
        start = 0
        while start < len(order):
            size = ASKED
            while size > 1 and size * int((ends - begins)[order[start : start + size]].max()) > ASKED_PLACES:
                size //= 2
            users = order[start : start + size]
            yield users, self.padded(begins[users], ends[users], n)
            start += size


@dataclass(frozen=True)
class SasrecQuery:
    item_vectors: NDArray[np.float32]
    start_vector: NDArray[np.float32]
    """(D,): what a history begins with."""
    gap_vectors: NDArray[np.float32] | None
    """(32, D), or None where time is not looked at."""
    encoder: NDArray[np.uint8]
    max_length: int

    @cached_property
    def network(self) -> Network:
        return Network(self.encoder)

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        n, d = self.item_vectors.shape
        result = np.zeros((len(histories), d), dtype=np.float32)
        for users, padded in Tokens.of(liked(histories), n).lately(self.max_length, n):
            x = np.empty((*padded.rows.shape, d), dtype=np.float32)
            known = padded.rows < n
            x[known] = self.item_vectors[padded.rows[known]]
            x[~known] = self.start_vector
            x *= np.float32(sqrt(d))
            if self.gap_vectors is not None:
                x += self.gap_vectors[padded.gaps]
            result[users] = self.network(x=x, last=padded.lengths - 1)
        return result

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        return self.vectors(histories) @ self.item_vectors.T

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """By occlusion: what the score loses without an event, for the last 30 that were read; what is left of the
        score, which they share or which older ones or the start gave, is spread evenly over all events, so that columns
        sum to the scores. A measure, not a sum the model forms: events may stand in for one another."""
        count = len(histories.item_rows)
        if not count:
            return np.zeros((0, len(item_rows)), dtype=np.float32)
        latest = np.flatnonzero(histories.weights > 0)[-min(EXPLAINED, self.max_length) :]
        kept = [np.arange(count), *(np.delete(np.arange(count), place) for place in latest)]
        places = np.concatenate(kept)
        variants = Histories(
            np.concatenate(([0], np.cumsum([len(some) for some in kept]))).astype(np.int64),
            histories.item_rows[places],
            histories.weights[places],
            histories.times[places],
        )
        scores = self.vectors(variants) @ self.item_vectors[item_rows].T
        result = np.zeros((count, len(item_rows)), dtype=np.float32)
        result[latest] = scores[0] - scores[1:]
        return result + (scores[0] - result.sum(axis=0)) / np.float32(count)


class SasrecTrainer:
    Config = SasrecConfig

    @staticmethod
    def fit(data: Interactions, config: SasrecConfig, options: Options) -> Arrays:
        """`item_vectors` float32 (N, D), `start_vector` float32 (D,), `encoder` uint8 (an ONNX graph), and
        `gap_vectors` float32 (32, D) where time counts.

        Raises NoData, NotFinite.
        """
        likes = data.where(data.weights > 0)
        if not len(likes):
            raise NoData()
        from recommender.engine.trainers import sasrec_learning

        return sasrec_learning.learn(likes, config, options)

    @staticmethod
    def query(arrays: Arrays, config: SasrecConfig) -> SasrecQuery:
        return SasrecQuery(
            arrays["item_vectors"],
            arrays["start_vector"],
            arrays.get("gap_vectors"),
            arrays["encoder"],
            config.max_length,
        )
