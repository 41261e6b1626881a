"""How `sasrec` learns: the torch module, its batches and its loss. Imported by a worker only."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.learning.held import Held, fingerprint, hold
from recommender.engine.learning.loop import descend
from recommender.engine.learning.losses import full_softmax
from recommender.engine.learning.negatives import Sampler
from recommender.engine.learning.parallel import pool, summed
from recommender.engine.learning.transformer import Transformer
from recommender.engine.learning.workplace import Workplace, workplace
from recommender.engine.trainers import Arrays, Options
from recommender.engine.trainers.sasrec import GAPS, Padded, Tokens

if TYPE_CHECKING:
    from recommender.engine.trainers.sasrec import SasrecConfig

STEPS = 20  # an epoch has at least, in shops that are not tiny: few events want smaller batches, not fewer steps
SMALLEST = 512  # tokens of a batch that it is not made smaller than for that
STEP = 16  # what lengths are rounded up to
FIRST_STD = 0.02  # of vectors before anything is learned
PARTS = 2  # of a batch on a CPU, each a thread's; fixed, so that the number of threads changes no result
FULL = 4  # times `negatives` that a catalogue must hold before sampling saves anything


class Sasrec(nn.Module):
    def __init__(self, items: int, config: "SasrecConfig", time_aware: bool) -> None:
        super().__init__()
        self.items = nn.Embedding(items + 1, config.factors)  # the last is the start
        self.gaps = nn.Embedding(GAPS, config.factors) if time_aware else None
        self.transformer = Transformer(config.factors, config.blocks, config.heads, config.max_length, config.dropout)
        for table in (self.items, self.gaps):
            if table is not None:
                nn.init.normal_(table.weight, std=FIRST_STD)

    def forward(self, rows: Tensor, gaps: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, L, D) of int64 (B, L) each."""
        x = self.items(rows) * sqrt(self.items.embedding_dim)
        if self.gaps is not None:
            x = x + self.gaps(gaps)
        encoded: Tensor = self.transformer(x, generator)
        return encoded


@dataclass(frozen=True)
class Part:
    """What one thread learns from."""

    padded: Padded
    """One token more than is read: each place's target is the next one."""
    share: float
    """Of the batch's targets."""
    seed: int


class Windows:
    """The tokens to learn from. A history longer than what is read is cut into windows, from its end in every other
    epoch on average, else from somewhere in the window before it, so that contexts differ from epoch to epoch."""

    def __init__(self, likes: Interactions, config: "SasrecConfig", parts: int, random: np.random.Generator) -> None:
        self.n, self.parts, self.random = len(likes.items), parts, random
        self.length = config.max_length
        self.size = min(config.batch_tokens, max(SMALLEST, len(likes) // STEPS))
        histories = likes.histories()
        self.tokens = Tokens.of(histories, self.n)
        some = np.diff(histories.indptr) > 0
        self.begins, self.ends = self.tokens.indptr[:-1][some], self.tokens.indptr[1:][some]

    @property
    def steps(self) -> int:
        """About how many batches an epoch has."""
        begins, ends = self._windows(self.ends)
        return -(-len(self._cuts(np.sort(ends - begins)[::-1])) // self.parts)

    def batches(self, epoch: int) -> Iterator[list[Part]]:
        """Windows of like length together, in random order."""
        long = self.ends - self.begins > self.length + 1
        short_of = self.random.integers(0, self.length // 2 + 1, len(long)) * (self.random.random(len(long)) < 0.5)
        begins, ends = self._windows(self.ends - short_of * long)
        lengths = ends - begins
        order = np.argsort(-lengths * (1 + 0.1 * self.random.random(len(lengths))) - self.random.random(len(lengths)))
        begins, ends = begins[order], ends[order]
        parts = self._cuts(ends - begins)
        for number in self.random.permutation(-(-len(parts) // self.parts)):
            some = parts[number * self.parts : (number + 1) * self.parts]
            targets = [int((ends - begins - 1)[windows].sum()) for windows, _ in some]
            yield [
                Part(
                    self.tokens.padded(begins[windows], ends[windows], self.n, width + 1),
                    count / sum(targets),
                    int(self.random.integers(2**62)),
                )
                for (windows, width), count in zip(some, targets, strict=True)
            ]

    def _windows(self, ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Begins and ends, int64 (W,): consecutive windows back from `ends`; the first token of each is only read."""
        counts = -(-(ends - self.begins - 1) // self.length)
        back = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        stops = np.repeat(ends, counts) - back * self.length
        return np.maximum(np.repeat(self.begins, counts), stops - self.length - 1), stops

    def _cuts(self, lengths: NDArray[np.int64]) -> list[tuple[slice, int]]:
        """Which windows of `lengths` (W,), about falling, each part has, and how many tokens of each it reads.

        Both are the same for many parts: oneDNN compiles a product for each shape, which takes as long as a few runs
        of it, and keeps it.
        """
        parts: list[tuple[slice, int]] = []
        start = 0
        while start < len(lengths):
            width = min(-(-int(lengths[start] - 1) // STEP) * STEP, self.length)
            stop = start + max(1, self.size // self.parts // width)
            if (longest := int(lengths[start:stop].max(initial=0)) - 1) > width:  # by what chance added
                width = min(-(-longest // STEP) * STEP, self.length)
                stop = start + max(1, self.size // self.parts // width)
            parts.append((slice(start, min(stop, len(lengths))), width))
            start = stop
        return parts


def learn(likes: Interactions, config: "SasrecConfig", options: Options) -> Arrays:
    """What SasrecTrainer.fit gives, from events that speak for an item."""
    n = len(likes.items)
    train, held = hold(likes, options)
    time_aware = config.time_aware and likes.timed
    random = np.random.default_rng(options.seed)
    # One thread of torch's own: `parallel` has the others.
    with workplace(replace(options, threads=1), config.precision) as place:
        parts = PARTS if place.device.type == "cpu" else 1
        module = Sasrec(n, config, time_aware).to(place.device)
        windows = Windows(train, config, parts, random)
        with pool(options.threads, parts) if parts > 1 else nullcontext() as executor:
            weights = list(module.parameters())
            loss = losses(module, train, config, place)
            descend(
                module,
                windows.batches,
                (lambda batch: summed(batch, loss, weights, executor)) if executor else (lambda batch: loss(batch[0])),
                config,
                options,
                place,
                steps=windows.steps,
                fingerprint=fingerprint("sasrec", config, likes, options),
                judge=None if held is None else lambda beat: judge(module, held, config.max_length, beat),
                generators=[random],
            )
        return arrays(module.cpu(), train, n)


def losses(module: Sasrec, train: Interactions, config: "SasrecConfig", place: Workplace) -> Callable[[Part], Tensor]:
    """The cross-entropy of one part's targets, in its share of the batch."""
    n, device = len(train.items), place.device
    sampler = None
    if 0 < config.negatives * FULL <= n:
        sampler = Sampler.weighted(np.bincount(train.item_rows, minlength=n) + 1.0)

    def loss(part: Part) -> Tensor:
        padded = part.padded
        generator = torch.Generator(device).manual_seed(part.seed)
        rows, gaps = (torch.from_numpy(array[:, :-1]).to(device) for array in (padded.rows, padded.gaps))
        asked = np.flatnonzero(np.arange(rows.shape[1]) < padded.lengths[:, None] - 1)
        targets = padded.rows[:, 1:].ravel()[asked]
        # Weights that autocast has in its cache may belong to another thread's graph.
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=place.bfloat16, cache_enabled=False):
            encoded = module(rows, gaps, generator).flatten(0, 1)
            queries = encoded.index_select(0, torch.from_numpy(asked).to(device))
            if sampler is None:
                return full_softmax(queries, module.items.weight[:n], torch.from_numpy(targets).to(device)) * part.share
            drawn = sampler.draw(np.random.default_rng(part.seed), config.negatives)
            among, targets = np.unique(np.concatenate((targets, drawn)), return_inverse=True)
            tried = len(drawn) + len(queries)
            # What is frequent is nearly always among them: off with the log of the chance to be drawn at all.
            chances = -np.expm1(tried * np.log1p(-np.exp(sampler.log_q[among].astype(np.float64))))
            bias = torch.from_numpy(-np.log(chances).astype(np.float32)).to(device)
            vectors = module.items(torch.from_numpy(among).to(device))
            return (
                full_softmax(queries, vectors, torch.from_numpy(targets[: len(queries)]).to(device), bias) * part.share
            )

    return loss


def judge(module: Sasrec, held: Held, max_length: int, beat: Callable[[], None]) -> float:
    n = len(held.known.items)
    vectors = module.items.weight.detach()[:n]

    def scores(histories: Histories) -> NDArray[np.float32]:
        result = np.empty((len(histories), n), dtype=np.float32)
        for users, padded in Tokens.of(histories, n).lately(max_length, n):
            rows, gaps = (torch.from_numpy(array).to(vectors.device) for array in (padded.rows, padded.gaps))
            last = torch.from_numpy(padded.lengths - 1).to(vectors.device)
            encoded = module(rows, gaps)[torch.arange(len(users), device=vectors.device), last].float()
            result[users] = (encoded @ vectors.T).cpu().numpy()
        return result

    return held.ndcg(scores, beat)


def arrays(module: Sasrec, train: Interactions, n: int) -> Arrays:
    weights: NDArray[np.float32] = module.items.weight.detach().numpy()
    vectors = weights[:n].copy()
    known = np.bincount(train.item_rows, minlength=n) > 0
    vectors[~known] = vectors[known].mean(axis=0)
    found = {"item_vectors": vectors, "start_vector": weights[n].copy(), "encoder": module.transformer.graph()}
    if module.gaps is not None:
        found["gap_vectors"] = module.gaps.weight.detach().numpy().copy()
    return found
