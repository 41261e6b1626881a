"""Two towers: one makes a vector of a history, one of an item, and their cosine is the score (Yi et al. 2019,
"Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations").

    y_i = unit(E_i + W f_i)                                an item: what is its own, and what its features say
    a_l = softmax_l(q . y_l + r(age_l)),  h = sum_l a_l y_l    a history: its items, recent and telling ones first
    x   = unit(h + W2 relu(W1 h + b1) + b2)

Trained by the sampled softmax over cosines in t-th parts: what each history took next, against what the batch's others
took and uniformly drawn items (mixed negatives, Yang et al. 2020), with the chances to be among them taken off. E_i is
left out at random in training and for good where nobody took the item, so that items are found by their features alone.

A step costs O(B L D + B C D) for C candidates; serving a history O(L D + D H). Memory: 4 (N + F) D bytes, four times.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.learning.descent import Descent
from recommender.engine.trainers import Arrays, Options
from recommender.engine.trainers.neighbours import Told, check

ASKS = ("next", "any")
BATCH = 1024  # histories made into vectors at once: (B, L, D) takes 13 MiB at L = 50, D = 64
Batch = tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]
"""Histories (B, L), latest first; which places hold an item; what was taken next (B,); candidates (C,), distinct."""


@dataclass(frozen=True)
class TwoTowerConfig(Descent):
    learning_rate: float = field(default=0.003, metadata={"tune": (0.001, 0.003, 0.01)})
    factors: int = field(default=64, metadata={"tune": (32, 64, 128)})
    """D, the length of a vector."""
    hidden: int = field(default=128, metadata={"tune": (64, 128, 256)})
    """H, the width of the user tower's one layer."""
    length: int = field(default=50, metadata={"tune": (20, 50, 100)})
    """L: distinct liked items of a history that are looked at, the last ones."""
    temperature: float = field(default=0.1, metadata={"tune": (0.05, 0.07, 0.1, 0.15)})
    """t: what a difference of cosines is divided by. Lower ones look at the hardest negatives only."""
    asks: str = field(default="next", metadata={"tune": ASKS})
    """What training asks a history for: "next", what was taken after it; "any", what else was, whenever. The latter
    suits tastes that last, and times that say little."""
    targets: int = field(default=8, metadata={"tune": (4, 8, 16)})
    """Items of each user that an epoch asks for at most."""
    batch: int = field(default=512, metadata={"tune": (256, 512, 1024)})
    """B, histories in a step."""
    negatives: int = field(default=1024, metadata={"tune": (256, 1024, 2048)})
    """Candidates drawn for each step, uniformly from what anyone took, beside what its histories took."""
    hard: int = field(default=0, metadata={"tune": (0, 64, 256)})
    """How many negatives, the highest scored, count; 0 lets all count."""
    id_dropout: float = field(default=0.2, metadata={"tune": (0.1, 0.2, 0.5)})
    """Share of the items that a step describes by their features alone, where they have any."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.asks not in ASKS:
            raise InvalidConfig(f"asks {self.asks!r} is none of: {', '.join(ASKS)}.")
        for name in ("factors", "hidden", "length", "targets", "batch"):
            check(name, getattr(self, name), 1, 8192, whole=True)
        for name in ("negatives", "hard"):
            check(name, getattr(self, name), 0, 10**6, whole=True)
        check("temperature", self.temperature, 1e-3, 100)
        if not 0 <= self.id_dropout < 1:
            raise InvalidConfig("id_dropout must be from 0 to below 1.")


@dataclass(frozen=True)
class TwoTowerQuery:
    item_vectors: NDArray[np.float32]
    """(N, D), of length 1; 0 where nothing is known of an item."""
    user_tower: Arrays
    """`attention` (D,), `recency` (AGES,), `inner` (H, D), `inner_bias` (H,), `outer` (D, H), `outer_bias` (D,)."""
    length: int

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        result = np.zeros((len(histories), self.item_vectors.shape[1]), dtype=np.float32)
        for users, batch in histories.batches(BATCH):
            result[users] = self._vectors(*self._seen(batch)[:2])
        return result

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        return self.vectors(histories) @ self.item_vectors.T

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """How much less an item would score without each of the history's; what they say together, and no one alone,
        is spread evenly over them. An item's events share by weight; those not looked at say nothing."""
        rows, real, places = self._seen(histories)
        asked = self.item_vectors[item_rows].T
        score = (self._vectors(rows, real) @ asked)[0]
        seen = int(real.sum())
        without = np.repeat(real, seen, axis=0)
        without[np.arange(seen), np.arange(seen)] = False
        lost = score - self._vectors(np.repeat(rows, seen, axis=0), without) @ asked
        lost += (score - lost.sum(axis=0)) / max(1, seen)
        told = places >= 0
        result = np.zeros((len(places), len(item_rows)), dtype=np.float32)
        sums = np.bincount(places[told], weights=histories.weights[told], minlength=rows.shape[1])
        share = histories.weights[told] / sums[places[told]]
        result[told] = lost[places[told]] * share[:, None]
        return result

    def _seen(self, histories: Histories) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int64]]:
        """The last liked items, latest first, and which places hold one, (B, L); each event's place (E,) or -1."""
        told = Told.of(histories, len(self.item_vectors))
        liked = np.flatnonzero(told.sums > 0)
        ends = np.searchsorted(told.user_rows[liked], told.user_rows[liked], side="right")
        ages = ends - 1 - np.arange(len(liked))
        recent = ages < self.length
        liked, ages = liked[recent], ages[recent]
        shape = (len(histories), int(ages.max(initial=0)) + 1)
        rows, real = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.bool_)
        rows[told.user_rows[liked], ages], real[told.user_rows[liked], ages] = told.item_rows[liked], True
        place = np.full(len(told.sums), -1, dtype=np.int64)
        place[liked] = ages
        return rows, real, place[told.event_places]

    def _vectors(self, rows: NDArray[np.int32], real: NDArray[np.bool_]) -> NDArray[np.float32]:
        tower = self.user_tower
        vectors = self.item_vectors[rows]
        logits = vectors @ tower["attention"] + tower["recency"][_ages(rows.shape[1])]
        shares = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf)) * real
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.float32(1e-30))
        mean = np.einsum("bl,bld->bd", shares, vectors)
        inner = np.maximum(mean @ tower["inner"].T + tower["inner_bias"], 0)
        found = unit(mean + inner @ tower["outer"].T + tower["outer_bias"])
        return np.asarray(found * real.any(axis=1, keepdims=True), dtype=np.float32)


class TwoTowerTrainer:
    Config = TwoTowerConfig

    @staticmethod
    def fit(data: Interactions, config: TwoTowerConfig, options: Options) -> Arrays:
        """`item_vectors` float32 (N, D) and the user tower, see `TwoTowerQuery.user_tower`.

        What is liked counts once, at its last time. Raises NoData, NotFinite, InvalidConfig.
        """
        import torch

        from recommender.engine.learning import losses
        from recommender.engine.learning.held import fingerprint, hold
        from recommender.engine.learning.loop import Beat, descend
        from recommender.engine.learning.negatives import hardest, masked
        from recommender.engine.learning.workplace import workplace
        from recommender.engine.trainers.towers import Towers

        train, held = hold(data, options)
        samples = Samples.of(train, ordered=config.asks == "next")
        items, random = len(train.items), np.random.default_rng(options.seed)
        taken = np.bincount(samples.item_rows, minlength=items)
        log_included = _log_included(taken, config.batch, config.negatives)
        drawable = np.flatnonzero(taken)  # to tell others from what was taken would teach that all they are is bad
        described = None if data.item_features is None else unit(data.item_features.astype(np.float32))

        def batches(epoch: int) -> Iterator[Batch]:
            for rows, real, targets in samples.batches(config, random):
                yield rows, real, targets, np.union1d(targets, random.choice(drawable, config.negatives))

        with workplace(options, config.precision) as place:

            def on_device(array: NDArray[np.generic]) -> torch.Tensor:
                return torch.as_tensor(array, device=place.device)

            features = None if described is None else on_device(described)
            width = 0 if described is None else described.shape[1]
            towers = Towers(items, width, config.factors, config.hidden).to(place.device)
            known, correction, ages = on_device(taken > 0), on_device(log_included), on_device(_ages(config.length))

            def vectors(rows: torch.Tensor, dropout: float) -> torch.Tensor:
                with_id = known[rows] & (torch.rand(len(rows), device=place.device) >= dropout)
                return towers.items(rows, with_id, None if features is None else features[rows])

            def loss(batch: Batch) -> torch.Tensor:
                rows, real, targets, candidates = (on_device(part) for part in batch)
                distinct, where = torch.unique(torch.cat((rows.flatten(), targets, candidates)), return_inverse=True)
                y = vectors(distinct, config.id_dropout if features is not None else 0.0)
                history, target, other = where.split((rows.numel(), len(targets), len(candidates)))
                gathered = torch.nn.functional.embedding(history.reshape(rows.shape), y)
                x = towers.users(gathered, real, ages[: rows.shape[1]])
                # What was taken is no draw, so that nothing is taken off it.
                positive = (x * y.index_select(0, target)).sum(dim=-1) / config.temperature
                negative = (x @ y.index_select(0, other).T).float() / config.temperature - correction[candidates]
                negative = masked(negative, candidates, targets)
                return losses.sampled_softmax(positive, hardest(negative, config.hard) if config.hard else negative)

            def learned() -> Arrays:
                with torch.no_grad():
                    y = vectors(torch.arange(items, device=place.device), 0.0)
                parts = {
                    "item_vectors": y,
                    "attention": towers.attention.weight[0],
                    "recency": towers.recency,
                    "inner": towers.inner.weight,
                    "inner_bias": towers.inner.bias,
                    "outer": towers.outer.weight,
                    "outer_bias": towers.outer.bias,
                }
                return {name: part.detach().float().cpu().numpy().copy() for name, part in parts.items()}

            def judge(beat: Beat) -> float:
                return held.ndcg(TwoTowerTrainer.query(learned(), config).scores, beat) if held else 0.0

            descend(
                towers, batches, loss, config, options, place,
                steps=samples.steps(config), fingerprint=fingerprint("two_tower", config, data, options),
                judge=judge if held else None, generators=[random],
            )  # fmt: skip
            return learned()

    @staticmethod
    def query(arrays: Arrays, config: TwoTowerConfig) -> TwoTowerQuery:
        tower = {name: array for name, array in arrays.items() if name != "item_vectors"}
        return TwoTowerQuery(arrays["item_vectors"], tower, config.length)


@dataclass(frozen=True)
class Samples:
    """Histories and what was taken next: what training asks."""

    item_rows: NDArray[np.int64]
    """(E,): liked items by user and then time."""
    indptr: NDArray[np.int64]
    """(U+1,)."""
    timed: bool

    @classmethod
    def of(cls, data: Interactions, ordered: bool = True) -> "Samples":
        """Raises NoData where nothing is liked."""
        told = Told.of(data.histories(), len(data.items))
        liked = told.sums > 0
        if not liked.any():
            raise NoData()
        indptr = np.searchsorted(told.user_rows[liked], np.arange(len(data.users) + 1))
        return cls(told.item_rows[liked].astype(np.int64), indptr, ordered and data.timed)

    def steps(self, config: TwoTowerConfig) -> int:
        asked = int(np.minimum(np.maximum(np.diff(self.indptr) - 1, 0), config.targets).sum())
        return max(1, -(-asked // config.batch))

    def batches(
        self, config: TwoTowerConfig, random: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]]:
        """Histories (B, L), latest first, which places hold an item, and what was taken next (B,).

        Up to `config.targets` random items of each user, each after what they took before it; where times say nothing
        or do not count, after what else they took. Where everybody took one item only, that is asked for after itself.
        """
        counts = np.diff(self.indptr)
        owners, starts = np.repeat(np.arange(len(counts)), counts), np.repeat(self.indptr[:-1], counts)
        places = np.arange(len(owners)) - starts
        keys = random.random(len(owners))
        shuffled = np.lexsort((keys, places == 0, owners))  # the first comes after nothing, so it is asked for last
        if self.timed:
            sequence = self.item_rows
            asked = shuffled[(places < config.targets) & (places < (counts - 1)[owners])]
        else:
            sequence = self.item_rows[np.lexsort((keys, owners))]
            asked = np.flatnonzero((places > 0) & (places >= (counts - config.targets)[owners]))
        if not len(asked):
            asked = np.arange(len(owners))
        for rows in np.array_split(random.permutation(asked), max(1, -(-len(asked) // config.batch))):
            back = np.arange(1, config.length + 1)
            real = places[rows, None] >= back
            history = np.where(real, sequence[np.maximum(rows[:, None] - back, 0)], 0)
            alone = ~real[:, 0]
            history[alone, 0], real[alone, 0] = sequence[rows[alone]], True
            yield history, real, sequence[rows]


def _ages(length: int) -> NDArray[np.int64]:
    """The kind of age of each of L places, latest first: floor(log2(age + 1)), int64 (L,)."""
    return np.log2(np.arange(1, length + 1)).astype(np.int64)


def _log_included(taken: NDArray[np.int64], batch: int, negatives: int) -> NDArray[np.float32]:
    """Log of each item's chance to be a candidate: taken in one of `batch` samples or drawn uniformly from all that
    anyone took, float32 (N,)."""
    often, even = (np.minimum(chances, 1 - 1e-9) for chances in (taken / taken.sum(), (taken > 0) / (taken > 0).sum()))
    missed = batch * np.log1p(-often) + negatives * np.log1p(-even)
    return np.log(np.maximum(-np.expm1(missed), 1e-30)).astype(np.float32)
