"""Matrix factorisation by gradient descent: a vector for each user and item, scored by their cosine.

    s_ui = x_u . y_i / (|x_u| |y_i|)

Three losses: "softmax", the sampled softmax over t-th parts of s (Wu et al. 2024, "On the Effectiveness of Sampled
Softmax Loss for Item Recommendation"); "bsl", its bilateral form (Wu et al. 2024, "BSL"); and "bpr" (Rendle et al.
2009), all against negatives that a batch shares. A user's liked items are learned from up to GROUP at a time, which
scores them against one row of negatives instead of GROUP: an epoch costs O(pairs / GROUP * M * D).

Whoever asks is solved for, as in training: given the items, the x of length 1 that makes the softmax loss of a history
smallest is where its slope has no part but along x,

    x = (mean_i y_i - sum_j p_j y_j) / |...|,   p_j = exp(x . y_j / t) / sum_k exp(x . y_k / t),

with i over the liked items and j over a fixed sample of the catalogue. A few rounds of setting x to what it then comes
to find it, at O(S D) each. That last round is linear in the liked items' vectors, which explains a score.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Histories, Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.learning.descent import Descent
from recommender.engine.trainers import Arrays, Options
from recommender.engine.trainers.neighbours import Told, check, strengths

if TYPE_CHECKING:
    from torch import Tensor

LOSSES = ("softmax", "bsl", "bpr")
LENGTH = 0.1  # spread of each of the first vectors' D values
GROUP = 8  # liked items of one user that are learned from together
SAMPLE = 2048  # items that stand for the catalogue when a history is solved for
ROUNDS = 8  # by then x moves less than what the sample itself is off by
# Tried for answering, in parts of 1 / t: mild ones mistrust short histories, and leave more to what is popular.
SHARPNESSES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
JUDGED = 0.3  # the part that training is judged by
BATCH = 512  # histories solved at once: (B, S) chances take 4 MiB

Batch = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]
"""Users (G,), their liked items (G, GROUP), negatives (M,), and which of these are liked by whom (G, M)."""


@dataclass(frozen=True)
class MatrixConfig(Descent):
    epochs: int = 30
    patience: int = 10
    learning_rate: float = field(default=0.01, metadata={"tune": (0.003, 0.01, 0.03)})
    factors: int = field(default=64, metadata={"tune": (32, 64, 128)})
    """D, the length of a vector."""
    loss: str = field(default="softmax", metadata={"tune": LOSSES})
    """What is made small: "softmax", "bsl" or "bpr"."""
    temperature: float = field(default=0.1, metadata={"tune": (0.06, 0.08, 0.1, 0.15, 0.2)})
    """t: what a difference of cosines is divided by. Lower ones look at the hardest negatives only."""
    temperature_positive: float = field(default=0.2, metadata={"tune": (0.1, 0.2, 0.4)})
    """t+ of "bsl", for a user's liked items: lower ones forgive more that do not fit the rest."""
    negatives: int = field(default=2048, metadata={"tune": (512, 1024, 2048, 4096)})
    """M, drawn for each batch. Of these, "bpr" shows each liked item M / 8."""
    popularity: float = field(default=0.0, metadata={"tune": (0.0, 0.5)})
    """Negatives are drawn by popularity to this power; "softmax" makes up for it."""
    batch: int = field(default=1024, metadata={"tune": (256, 512, 1024)})
    """Groups in a step, each of up to 8 liked items of one user."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in LOSSES:
            raise InvalidConfig(f"loss {self.loss!r} is none of: {', '.join(LOSSES)}.")
        check("factors", self.factors, 1, 2048, whole=True)
        check("temperature", self.temperature, 1e-3, 100)
        check("temperature_positive", self.temperature_positive, 1e-3, 100)
        check("negatives", self.negatives, GROUP, 10**6, whole=True)
        check("popularity", self.popularity, 0, 2)
        check("batch", self.batch, 1, 10**6, whole=True)


@dataclass(frozen=True)
class MatrixQuery:
    item_vectors: NDArray[np.float32]
    """(N, D), each of length 1."""
    sample: NDArray[np.float32]
    """(S, D): the vectors of some items that stand for all."""
    sharpness: float
    """1 / t; 0 leaves a history its mean, against that of all items."""

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        result = np.zeros((len(histories), self.item_vectors.shape[1]), dtype=np.float32)
        for users, batch in histories.batches(BATCH):
            told = Told.of(batch, len(self.item_vectors))
            means, known = self._means(told, len(batch))
            result[users] = self._solved(means)[0] * known
        return result

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        return self.vectors(histories) @ self.item_vectors.T

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """score_k = (sum_i y_i . y_k / L - p . y_k) / length over L liked items, those disliked counting against; what
        p takes away is shared evenly by the liked, and what an item adds, by its events' weights."""
        told = Told.of(histories, len(self.item_vectors))
        signs, liked = strengths(told.sums, 0), told.sums > 0
        if not liked.any():
            return np.zeros((len(histories.item_rows), len(item_rows)), dtype=np.float32)
        _, pull, length = self._solved(self._means(told, 1)[0])
        asked = self.item_vectors[item_rows].T
        per_item = signs[:, None] * (self.item_vectors[told.item_rows] @ asked) - liked[:, None] * (pull @ asked)
        sums = told.sums[told.event_places]
        share = np.divide(histories.weights, sums, out=np.zeros_like(sums), where=sums != 0)
        return (per_item[told.event_places] * share[:, None] / (liked.sum() * length[0])).astype(np.float32)

    def _means(self, told: Told, users: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Liked vectors less the disliked ones, by the number liked, float32 (B, D); whether anything is, (B, 1)."""
        signs = strengths(told.sums, 0)
        sums = np.zeros((users, self.item_vectors.shape[1]), dtype=np.float32)
        np.add.at(sums, told.user_rows, self.item_vectors[told.item_rows] * signs[:, None])
        liked = np.bincount(told.user_rows[signs > 0], minlength=users)[:, None]
        return (sums / np.maximum(liked, 1)).astype(np.float32), liked > 0

    def _solved(
        self, means: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """x (B, D), what the sample pulls (B, D) and the length (B, 1), float32: x = (means - pull) / length."""
        pull = np.broadcast_to(self.sample.mean(axis=0), means.shape)
        x = unit(means - pull)
        for left in reversed(range(ROUNDS if self.sharpness else 0)):
            logits = x @ self.sample.T * np.float32(self.sharpness)
            chances = np.exp(logits - logits.max(axis=1, keepdims=True))
            pull = (chances / chances.sum(axis=1, keepdims=True)) @ self.sample
            towards = unit(means - pull)
            x = unit(x + towards) if left else towards  # half of the way each time, or it swings
        return x, pull, np.maximum(np.linalg.norm(means - pull, axis=1, keepdims=True), np.float32(1e-12))


@dataclass(frozen=True)
class Groups:
    """Distinct liked pairs in groups of up to GROUP of one user, drawn anew for each epoch."""

    user_rows: NDArray[np.int64]
    """(E,), ascending."""
    item_rows: NDArray[np.int64]

    @classmethod
    def of(cls, data: Interactions) -> "Groups":
        """Raises NoData where nothing is liked."""
        matrix = data.matrix.tocoo()
        liked = matrix.data > 0
        if not liked.any():
            raise NoData()
        return cls(matrix.row[liked].astype(np.int64), matrix.col[liked].astype(np.int64))

    @cached_property
    def _counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs and groups of each user, (U,)."""
        pairs = np.bincount(self.user_rows)
        return pairs, -(-pairs // GROUP)

    def steps(self, size: int) -> int:
        return -(-int(self._counts[1].sum()) // size)

    def batches(self, size: int, random: np.random.Generator) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Users (G,) and items (G, GROUP), UNKNOWN where there are fewer; every pair once."""
        pairs, groups = self._counts
        owners = np.repeat(np.arange(len(pairs)), groups)
        rank = np.arange(len(self.user_rows)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        group = np.repeat(np.cumsum(groups) - groups, pairs) + rank // GROUP
        table = np.full((len(owners), GROUP), UNKNOWN, dtype=np.int64)
        table[group, rank % GROUP] = self.item_rows[np.lexsort((random.random(len(rank)), self.user_rows))]
        order = random.permutation(len(owners))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield owners[rows], table[rows]


class MatrixTrainer:
    Config = MatrixConfig

    @staticmethod
    def fit(data: Interactions, config: MatrixConfig, options: Options) -> Arrays:
        """`item_vectors` float32 (N, D), `sample_rows` int32 (S,), `sharpness` float32 ().

        What is liked counts once, however often. Raises NoData, NotFinite, InvalidConfig.
        """
        import torch
        import torch.nn.functional as F

        from recommender.engine.learning import losses
        from recommender.engine.learning.held import fingerprint, hold
        from recommender.engine.learning.loop import Beat, descend
        from recommender.engine.learning.negatives import Sampler
        from recommender.engine.learning.workplace import workplace

        train, held = hold(data, options)
        groups = Groups.of(train)
        items = len(train.items)
        random = np.random.default_rng(options.seed)
        sampler = Sampler.popular(groups.item_rows, items, config.popularity)
        sample_rows = np.sort(random.permutation(items)[:SAMPLE]).astype(np.int32)

        def batches(epoch: int) -> Iterator[Batch]:
            for owners, liked in groups.batches(config.batch, random):
                negatives = sampler.distinct(random, config.negatives)
                yield owners, liked, negatives, _collisions(liked, negatives, items)

        with workplace(options, config.precision) as place:
            x_table, y_table = (torch.nn.Embedding(rows, config.factors, device=place.device) for rows in train.shape)
            for table in (x_table, y_table):  # shorter ones turn faster: a step's size does not depend on theirs
                torch.nn.init.normal_(table.weight, std=LENGTH)
            log_drawn = torch.as_tensor(sampler.log_included(config.negatives), device=place.device)

            def loss(batch: Batch) -> "Tensor":
                owners, liked, negatives, collisions = (torch.as_tensor(part, device=place.device) for part in batch)
                real = liked >= 0
                x = F.normalize(x_table(owners), dim=-1)
                y = F.normalize(y_table(torch.cat((liked.clamp(min=0).flatten(), negatives))), dim=-1)
                own, others = y[: liked.numel()].reshape(*liked.shape, -1), y[liked.numel() :]
                positive = (x[:, None] * own).sum(dim=-1)
                negative = (x @ others.T).float().masked_fill(collisions, -float("inf"))
                if config.loss == "bsl":
                    positive = positive.masked_fill(~real, -float("inf"))
                    return losses.bsl(positive, negative, config.temperature_positive, config.temperature)
                positive, negative = positive / config.temperature, negative / config.temperature
                if config.loss == "softmax":
                    total = torch.logsumexp(negative - log_drawn[negatives], dim=-1, keepdim=True)
                    return losses.sampled_softmax(positive[real], total.expand_as(positive)[real][:, None])
                each = negative.shape[1] // GROUP  # to every liked item its own share of them; all, where there are few
                shares = negative[:, : each * GROUP].reshape(len(negative), -1, each) if each else negative[:, None]
                return losses.bpr(positive[real], shares.expand(-1, GROUP, -1)[real])

            def query(sharpness: float) -> MatrixQuery:
                y = unit(y_table.weight.detach().cpu().numpy())
                return MatrixQuery(y, y[sample_rows], sharpness)

            def judge(beat: Beat) -> float:
                return held.ndcg(query(JUDGED / config.temperature).scores, beat) if held else 0.0

            descend(
                torch.nn.ModuleList((x_table, y_table)), batches, loss, config, options, place,
                steps=groups.steps(config.batch), fingerprint=fingerprint("matrix", config, data, options),
                judge=judge if held else None, generators=[random], shares=(0, 0.95),
            )  # fmt: skip
            values = []
            for number, sharpness in enumerate(tried := [part / config.temperature for part in SHARPNESSES]):
                share = 0.95 + 0.05 * number / len(tried)
                tell = partial(options.progress, share, f"answering with {number + 1} of {len(tried)} sharpnesses")
                tell()
                values.append(held.ndcg(query(sharpness).scores, tell) if held else 0.0)
            best = query(tried[int(np.argmax(values))])
        options.progress(1.0, "done")
        return {
            "item_vectors": best.item_vectors,
            "sample_rows": sample_rows,
            "sharpness": np.array(best.sharpness, dtype=np.float32),
        }

    @staticmethod
    def query(arrays: Arrays, config: MatrixConfig) -> MatrixQuery:
        y = arrays["item_vectors"]
        return MatrixQuery(y, np.asarray(y[arrays["sample_rows"]]), float(arrays["sharpness"]))


def _collisions(liked: NDArray[np.int64], negatives: NDArray[np.int64], items: int) -> NDArray[np.bool_]:
    """Which negatives (M,), distinct, are among a group's liked items (G, GROUP): (G, M)."""
    column = np.full(items + 1, UNKNOWN, dtype=np.int64)  # one more, that UNKNOWN finds nothing
    column[negatives] = np.arange(len(negatives))
    found = column[liked]
    group, slot = np.nonzero(found >= 0)
    result = np.zeros((len(liked), len(negatives)), dtype=np.bool_)
    result[group, found[group, slot]] = True
    return result
