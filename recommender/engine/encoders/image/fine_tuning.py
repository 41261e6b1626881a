"""The image tower: `contrastive`, whose head learns from what shoppers click and buy together, in place of what looks
alike (in-batch softmax, Yi et al. 2019).

    loss = -log(exp(c(a, b) / t) / sum_j exp(c(a, j) / t)),    for (a, b) and for (b, a)

c is the cosine of what the head says of two pictures, j the batch's other pictures, less those known to go with a.
Pictures held out of learning, with all their pairs, say when to stop, and whether anything was gained: where nothing
was, all stays as it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from recommender.engine import metrics
from recommender.engine.encoders import Arrays, Picture, partners
from recommender.engine.encoders.image import looks
from recommender.engine.encoders.image.contrastive import ContrastiveConfig, Head, parts, vectors
from recommender.engine.encoders.image.learning import HeadModule, fingerprint
from recommender.engine.encoders.settings import check
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.learning.descent import Descent
from recommender.engine.learning.loop import Beat, descend
from recommender.engine.learning.workplace import workplace
from recommender.engine.options import Options

HELD_SHARE = 10  # one of so many pictures is kept out of learning, with all its pairs
HELD = (10, 1000)  # pictures, least and most; fewer tell nothing
TRIED = (0.4, 0.7, 1.0)  # shares of the head in the vector; what goes together need not look alike
CANDIDATES = 3000  # pictures that a held one's partners are looked for among, at most
K = 10
SHARES = (0.3, 1.0)  # of the progress, what learning takes


@dataclass(frozen=True)
class ImageTowerConfig(Descent):
    epochs: int = 30
    patience: int = 5
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    temperature: float = 0.1
    """t: what a difference of cosines is divided by."""
    batch: int = 256
    """Pairs in a step."""
    pairs: int = 20_000
    """Pairs that an epoch looks at, at most, drawn anew each time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("temperature", self.temperature, 1e-3, 100)
        check("batch", self.batch, 2, 8192, whole=True)
        check("pairs", self.pairs, 1, 10**8, whole=True)


@dataclass(frozen=True)
class Gain:
    """How well a picture finds those it goes with, for pictures that nothing was learned from or chosen by."""

    before: float
    """Mean NDCG@10."""
    after: float
    kept: bool
    """Whether what was learned is kept; if not, it was no better for the pictures it was chosen by."""
    epochs: int
    pairs: int
    """Learned from."""
    held: int
    """Pictures asked about."""
    candidates: int
    """Pictures they were ranked among."""


@dataclass(frozen=True)
class Tuned:
    arrays: Arrays
    """What ContrastiveEncoder opens."""
    gain: Gain


def fine_tune(
    inputs: Sequence[Picture],
    pairs: NDArray[np.integer[Any]],
    arrays: Arrays,
    encoder: ContrastiveConfig,
    config: ImageTowerConfig,
    options: Options,
) -> Tuned:
    """`pairs` (P, 2) are rows of `inputs` that go together; `arrays` and `encoder` what `contrastive` made of them.

    Raises NoData where there are too few pairs to learn from and to judge by, InvalidConfig, NotFinite.
    """
    if not encoder.joined:
        raise InvalidConfig("joined is 0, so that the encoder has no head that could learn.")
    given = _given(inputs, arrays, encoder, options)
    known = np.unique(np.sort(np.asarray(pairs, dtype=np.int64), axis=1), axis=0)
    says: NDArray[np.bool_] = np.any(given, axis=1)
    known = known[(known[:, 0] != known[:, 1]) & says[known].all(axis=1)]
    split = _Split.of(known, len(given), options.seed)
    random = np.random.default_rng(options.seed)
    seen = min(config.pairs, len(split.learned))
    size = min(config.batch, seen)
    steps = seen // size
    keys = np.unique(np.concatenate((known @ [len(given), 1], known @ [1, len(given)])))
    before = Head.of(arrays, encoder)

    def batches(epoch: int) -> Iterator[NDArray[np.int64]]:
        some = random.permutation(split.learned)[: steps * size]
        yield from random.permuted(some, axis=1).reshape(steps, size, 2)

    with workplace(options, config.precision) as place:
        module = HeadModule.of(arrays) if before else HeadModule(given.shape[1], encoder.hidden, encoder.dimension)
        module.to(place.device)

        def loss(batch: NDArray[np.int64]) -> Tensor:
            first, second = (
                functional.normalize(module(torch.as_tensor(given[rows], device=place.device)), dim=1)
                for rows in batch.T
            )
            a, b = batch.T
            together = (a[:, None] == b) | np.isin(a[:, None] * len(given) + b, keys)
            np.fill_diagonal(together, False)
            hidden = torch.as_tensor(together, device=place.device)
            cosines = (first @ second.T / config.temperature).masked_fill(hidden, -float("inf"))
            target = torch.arange(len(batch), device=place.device)
            return (functional.cross_entropy(cosines, target) + functional.cross_entropy(cosines.T, target)) / 2

        def learned(share: float) -> Arrays:
            return {**arrays, **module.arrays(), "head_share": np.array([share], dtype=np.float32)}

        def told(share: float) -> float:
            return split.ndcg(_said(given, Head.of(learned(share), encoder)), split.choosing)

        def judge(beat: Beat) -> float:
            return max(told(share) for share in TRIED)

        course = descend(
            module, batches, loss, config, options, place, steps=steps, judge=judge, judged="NDCG@10",
            fingerprint=fingerprint((given, known), config, options),
            generators=[random], shares=SHARES,
        )  # fmt: skip
        tuned = learned(max(TRIED, key=told))
    old, new = _said(given, before), _said(given, Head.of(tuned, encoder))
    kept = split.ndcg(new, split.choosing) > split.ndcg(old, split.choosing)
    gain = Gain(
        before=split.ndcg(old, split.reporting),
        after=split.ndcg(new if kept else old, split.reporting),
        kept=kept,
        epochs=len(course.losses),
        pairs=len(split.learned),
        held=len(split.reporting),
        candidates=len(split.candidates),
    )
    return Tuned(tuned if kept else arrays, gain)


@dataclass(frozen=True)
class _Split:
    """What is learned from, and what is asked."""

    learned: NDArray[np.int64]
    """(P, 2): pairs."""
    choosing: NDArray[np.int64]
    """Rows of pictures held out; by these is chosen, and by others reported."""
    reporting: NDArray[np.int64]
    candidates: NDArray[np.int64]
    """Rows that a held one is compared with."""
    partners: dict[int, NDArray[np.int64]]
    """Of the held ones, rows among the candidates."""

    @classmethod
    def of(cls, pairs: NDArray[np.int64], count: int, seed: int) -> "_Split":
        """Raises NoData."""
        random = np.random.default_rng(seed)
        paired = np.unique(pairs)
        held = random.permutation(paired)[: min(HELD[1], len(paired) // HELD_SHARE)]
        asked = np.isin(pairs, held)
        learned = pairs[~asked.any(axis=1)]
        if len(held) < HELD[0] or len(learned) < 2:
            raise NoData(f"It takes {HELD[0] * HELD_SHARE} pictures at least that go with others.")
        both = np.concatenate((pairs, pairs[:, ::-1]))
        both = both[np.isin(both[:, 0], held)]
        wanted = np.unique(both[:, 1])
        others = random.permutation(np.setdiff1d(np.arange(count), wanted))
        candidates = np.sort(np.concatenate((wanted, others[: max(0, CANDIDATES - len(wanted))])))
        partners = {int(row): both[both[:, 0] == row, 1] for row in held}
        return cls(learned, held[::2], held[1::2], candidates, partners)

    def ndcg(self, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> float:
        """Mean NDCG@K of these pictures' partners among the candidates."""
        wanted = [self.partners[int(row)] for row in rows]
        hits, relevant = partners.hits(vectors, rows, self.candidates, wanted, K)
        return float(metrics.ndcg(hits, relevant, K).mean())


def _given(
    inputs: Sequence[Picture], arrays: Arrays, encoder: ContrastiveConfig, options: Options
) -> NDArray[np.float32]:
    """What the head is given of each picture, (N, D); 0 where one says nothing."""
    known = parts(arrays, encoder)
    found = np.zeros((len(inputs), sum(part.directions.shape[1] for part in known)), dtype=np.float32)
    for rows, frames in looks.framed(inputs, encoder.figure):
        options.progress(SHARES[0] * rows[0] / len(inputs), f"looking at picture {rows[0] + 1} of {len(inputs)}")
        found[rows] = vectors(frames, known)
    return found


def _said(given: NDArray[np.float32], head: Head | None) -> NDArray[np.float32]:
    """The vectors (N, D)."""
    return head(given) if head else given
