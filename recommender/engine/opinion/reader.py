"""Praise told from what a language model makes of every word, not of the text as a whole.

The states of the last layers are mixed (Peters et al. 2018), several heads of attention choose whose words count (Lin
et al. 2017, without the penalty), and a linear layer tells. The language model stays as it is, or learns too, once the
head has: what it knew is distorted least so (Kumar et al. 2022).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from recommender.engine.errors import InvalidConfig
from recommender.engine.learning.descent import Descent
from recommender.engine.learning.loop import Beat, descend
from recommender.engine.learning.workplace import Workplace, workplace
from recommender.engine.options import Options

LAYERS = 5  # the last, whose states are mixed
ROWS_AT_ONCE = 64  # texts, where nothing is learned
WARMUP = 0.1  # share of the steps, where the language model learns
States = NDArray[np.float16]
"""(L, S, D): what a language model that does not learn makes of one text; of MiniLM 4 kB a token."""
NEIGHBOURS = 8  # batches that are made of texts of like lengths together, so that little is padding


@dataclass(frozen=True)
class ReaderConfig(Descent):
    epochs: int = 6
    patience: int = 6
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    schedule: str = "linear"
    batch: int = 64
    """Texts in a step."""
    width: int = 256
    """Of the head; a multiple of `heads`."""
    heads: int = 8
    dropout: float = 0.3
    tuned_epochs: int = 0
    """Passes in which the language model learns too, after those of the head alone."""
    tuned_rate: float = 5e-5
    """The highest learning rate of these."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("batch", 1), ("width", 1), ("heads", 1), ("tuned_epochs", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidConfig(f"{name} must be a whole number of at least {least}.")
        if self.width % self.heads:
            raise InvalidConfig("width must be a multiple of heads.")
        if not 0 <= self.dropout < 1:
            raise InvalidConfig("dropout must be from 0 to below 1.")
        if not 0 < self.tuned_rate < float("inf"):
            raise InvalidConfig("tuned_rate must be above 0.")


class Reader(nn.Module):
    """`bert` is any module with `lower(ids, mask)`, what comes before its `layers`, and these."""

    def __init__(self, bert: nn.Module, width: int, config: ReaderConfig) -> None:
        super().__init__()
        self.bert, self.kept = bert, min(LAYERS, len(bert.layers))  # type: ignore[arg-type]
        self.mix = nn.Parameter(torch.zeros(self.kept))
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(config.dropout)
        self.inner = nn.Linear(width, config.width)
        self.attention = nn.Linear(config.width, config.heads)
        self.outer = nn.Linear(2 * config.width, 1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids and mask int64 (B, L) to log odds (B,)."""
        return self.told(self.states(ids, mask), mask)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, L, S, D): what leaves each of the last layers."""
        bert: Any = self.bert
        x, found = bert.lower(ids, mask), []
        for layer in bert.layers:
            x = layer(x, mask.bool())
            found.append(x)
        return torch.stack(found[-self.kept :], dim=2)

    def told(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B,) from states (B, L, S, D)."""
        there = mask.bool().unsqueeze(-1)
        x = (states * torch.softmax(self.mix, 0).view(1, 1, -1, 1)).sum(dim=2)
        h = F.relu(self.inner(self.dropout(self.norm(x))))
        shares = self.attention(h).masked_fill(~there, float("-inf")).softmax(dim=1)  # (B, L, heads)
        parts = h.unflatten(-1, (shares.shape[-1], -1))
        heard = (shares.unsqueeze(-1) * parts).sum(dim=1).flatten(1)
        loudest = h.masked_fill(~there, 0).amax(dim=1)  # h is never below 0
        found: Tensor = self.outer(self.dropout(torch.cat([heard, loudest], dim=-1)))
        return found.squeeze(-1)


@dataclass(frozen=True)
class Texts:
    """Texts as tokens, at least one each, and whether they praise."""

    ids: Sequence[Sequence[int]]
    liked: NDArray[np.bool_]

    def batch(self, rows: NDArray[np.int64], place: Workplace) -> tuple[Tensor, Tensor, Tensor]:
        """ids and mask int64 (B, L), praise float32 (B,)."""
        length = max(len(self.ids[row]) for row in rows)
        ids = torch.zeros((len(rows), length), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for at, row in enumerate(rows):
            own = self.ids[row]
            ids[at, : len(own)] = torch.tensor(own)
            mask[at, : len(own)] = 1
        liked = torch.from_numpy(self.liked[rows].astype(np.float32))
        return ids.to(place.device), mask.to(place.device), liked.to(place.device)

    def shuffled(self, size: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Rows of every text in random batches, each of texts of like lengths."""
        lengths = np.array([len(one) for one in self.ids])
        batches = []
        for some in np.array_split(random.permutation(len(lengths)), -(-len(lengths) // (size * NEIGHBOURS))):
            some = some[np.argsort(lengths[some], kind="stable")]
            batches += [some[at : at + size] for at in range(0, len(some), size)]
        for at in random.permutation(len(batches)):
            yield batches[at]


def learn(
    bert: nn.Module, width: int, told: Texts, held: Texts, config: ReaderConfig, options: Options, members: int = 1
) -> list[Reader]:
    """Readers of `told`, each from a seed of its own and as it was best on `held`, in eval mode on the CPU.

    Where the language model learns too, there is one reader, and `bert` is changed. Raises NotFinite, and what progress
    raises.
    """
    with workplace(options, config.precision) as place:
        bert = bert.to(place.device).requires_grad_(False)
        members = 1 if config.tuned_epochs else members
        first = Reader(bert, width, config).to(place.device)
        states = {name: _states(first, texts, place) for name, texts in (("told", told), ("held", held))}
        readers = []
        for member in range(members):
            torch.manual_seed(options.seed + member)
            reader = Reader(bert, width, config).to(place.device)
            lesson = _Lesson(reader, told, held, config, replace(options, seed=options.seed + member), place)
            span = 0.3 if config.tuned_epochs else 1.0
            lesson.head(states["told"], states["held"], (span * member / members, span * (member + 1) / members))
            if config.tuned_epochs:
                states.clear()
                lesson.whole((span, 1.0))
            readers.append(reader.eval())
        return [reader.cpu() for reader in readers]


class _Lesson:
    """How one reader learns."""

    def __init__(
        self, reader: Reader, told: Texts, held: Texts, config: ReaderConfig, options: Options, place: Workplace
    ) -> None:
        self.reader, self.told, self.held = reader, told, held
        self.config, self.options, self.place = config, options, place
        self.random = np.random.default_rng(options.seed)

    def head(self, known: list[States], asked: list[States], shares: tuple[float, float]) -> None:
        """The language model's states are known: only the head learns."""

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            for rows in self.told.shuffled(self.config.batch, self.random):
                yield _batch(known, self.told, rows, self.place)

        def judge(beat: Beat) -> float:
            parts = [self.reader.told(*_batch(asked, self.held, rows, self.place)[:2]) for rows in _in_order(self.held)]
            return self.accuracy(torch.cat(parts))

        self.descend(batches, self.reader.told, self.config, judge, shares, "head")

    def whole(self, shares: tuple[float, float]) -> None:
        """The language model learns too, in batches of half the size."""
        self.reader.bert.requires_grad_(True)
        config = replace(
            self.config,
            epochs=self.config.tuned_epochs,
            learning_rate=self.config.tuned_rate,
            batch=max(1, self.config.batch // 2),
            warmup=WARMUP,
        )

        def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            for rows in self.told.shuffled(config.batch, self.random):
                yield self.told.batch(rows, self.place)

        def judge(beat: Beat) -> float:
            parts = [self.reader(*self.held.batch(rows, self.place)[:2]) for rows in _in_order(self.held)]
            return self.accuracy(torch.cat(parts))

        self.descend(batches, self.reader, config, judge, shares, "whole")

    def descend(
        self,
        batches: Callable[[int], Iterator[tuple[Tensor, Tensor, Tensor]]],
        tell: Callable[[Tensor, Tensor], Tensor],
        config: ReaderConfig,
        judge: Callable[[Beat], float],
        shares: tuple[float, float],
        part: str,
    ) -> None:
        def loss(batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
            inputs, mask, liked = batch
            return F.binary_cross_entropy_with_logits(tell(inputs, mask).float(), liked)

        descend(
            self.reader,
            batches,
            loss,
            config,
            self.options,
            self.place,
            steps=-(-len(self.told.ids) // config.batch),
            fingerprint={
                "part": part,
                "config": asdict(config),
                "texts": len(self.told.ids),
                "seed": self.options.seed,
            },
            judge=judge,
            judged="accuracy",
            generators=[self.random],
            shares=shares,
        )

    def accuracy(self, logits: Tensor) -> float:
        return float(np.mean((logits.cpu().numpy() > 0) == self.held.liked))


def scores(readers: Sequence[Reader], ids: Sequence[Sequence[int]], options: Options) -> NDArray[np.float64]:
    """Log odds that each text praises, (B,): the mean of readers that share one language model."""
    texts = Texts(ids, np.zeros(len(ids), dtype=np.bool_))
    found = np.zeros(len(ids))
    with workplace(options) as place, torch.no_grad():
        for reader in readers:
            reader.to(place.device)
        for rows in _in_order(texts):
            tokens, mask, _ = texts.batch(rows, place)
            states = readers[0].states(tokens, mask)
            for reader in readers:
                found[rows] += reader.told(states, mask).double().cpu().numpy() / len(readers)
        for reader in readers:
            reader.cpu()
    return found


def _in_order(texts: Texts) -> list[NDArray[np.int64]]:
    rows = np.arange(len(texts.ids))
    return [rows[at : at + ROWS_AT_ONCE] for at in range(0, len(rows), ROWS_AT_ONCE)]


def _states(reader: Reader, texts: Texts, place: Workplace) -> list[States]:
    """What the language model makes of each text."""
    found: list[Any] = [None] * len(texts.ids)
    order = np.argsort([len(one) for one in texts.ids], kind="stable")
    reader.eval()
    with torch.no_grad():
        for at in range(0, len(order), ROWS_AT_ONCE):
            rows = order[at : at + ROWS_AT_ONCE]
            ids, mask, _ = texts.batch(rows, place)
            for row, own in zip(rows, reader.states(ids, mask).half().cpu().numpy(), strict=True):
                found[row] = own[: len(texts.ids[row])].copy()
    return found


def _batch(
    known: list[States], texts: Texts, rows: NDArray[np.int64], place: Workplace
) -> tuple[Tensor, Tensor, Tensor]:
    """States float32 (B, L, S, D), mask (B, L), praise (B,)."""
    _, mask, liked = texts.batch(rows, place)
    states = np.zeros((*mask.shape, *known[rows[0]].shape[1:]), dtype=np.float32)
    for at, row in enumerate(rows):
        states[at, : len(known[row])] = known[row]
    return torch.from_numpy(states).to(place.device), mask, liked
