"""The text tower: a sentence encoder that learns from what shoppers click and buy together (in-batch softmax, Yi et
al. 2019, on an encoder that already knows language; Reimers, Gurevych 2019).

    loss = -log(exp(c(a, b) / t) / (exp(c(a, b) / t) + sum_j exp(c(a, j) / t - log q_j))),    for (a, b) and (b, a)

c is the cosine of two texts' vectors, j the batch's other texts, less those known to go with a, and q_j the chance to
be in the batch: without it, texts of popular items would be pushed away from all others.

Only the last layers learn. What the others make of each text is computed once, so that an epoch of the last two of
MiniLM's six takes a third of the time. The result lies between the weights before and after (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"), wherever the texts held out say; where they say that nothing is gained, all
stays as it was.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from recommender.engine import metrics
from recommender.engine.encoders import Arrays, partners
from recommender.engine.encoders.settings import check
from recommender.engine.encoders.text import bert_files, minilm
from recommender.engine.encoders.text.bert_files import BertFiles
from recommender.engine.encoders.text.bert_module import Bert
from recommender.engine.encoders.text.tokens import Tokens, batches, padded
from recommender.engine.errors import NoData
from recommender.engine.learning.descent import Descent
from recommender.engine.learning.loop import Beat, descend
from recommender.engine.learning.losses import sampled_softmax
from recommender.engine.learning.workplace import Workplace, workplace
from recommender.engine.options import Options

HELD_SHARE = 10  # one of so many texts is kept out of learning, with all its pairs
HELD_TEXTS = 1000  # at most
FEWEST_HELD = 10  # texts; fewer tell nothing
CHOOSING, REPORTING = (
    slice(0, None, 2),
    slice(1, None, 2),
)  # of them: what is kept is chosen by some, told by the others
CANDIDATES = 3000  # texts that a held one's partners are looked for among, at most
KEPT_BYTES = 2**30  # of what the layers that do not learn make of the texts; more is computed anew each time
TOKENS = 2048  # in one run of the layers when nothing is learned
BLENDS = (1.0, 0.75, 0.5, 0.25)  # shares of the learned weights that are tried
K = 10


@dataclass(frozen=True)
class TextTowerConfig(Descent):
    epochs: int = 4
    patience: int = 2
    learning_rate: float = field(default=3e-4, metadata={"tune": (3e-5, 1e-4, 3e-4)})
    weight_decay: float = 0.01
    warmup: float = 0.1
    precision: str = "float32"
    trained_layers: int = field(default=2, metadata={"tune": (1, 2, 3, 6)})
    """How many of the last layers learn; where it is all of them, the words' vectors learn too."""
    temperature: float = field(default=0.05, metadata={"tune": (0.02, 0.05, 0.1)})
    """t: what a difference of cosines is divided by."""
    batch: int = 64
    """Pairs in a step; each text is told from all others in it."""
    pairs: int = 5_000
    """Pairs that an epoch looks at, at most, drawn anew each time: of titles, a minute of one core."""
    length: int = 64
    """Tokens of a text that are looked at while learning, the first."""
    dropout: float = 0.1
    """Share of what a layer adds that is left out at random, while learning."""
    encoder: minilm.MinilmConfig = field(default_factory=minilm.MinilmConfig)
    """How the result is stored."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check("trained_layers", self.trained_layers, 1, 100, whole=True)
        check("temperature", self.temperature, 1e-3, 100)
        check("batch", self.batch, 2, 8192, whole=True)
        check("pairs", self.pairs, 1, 10**8, whole=True)
        check("length", self.length, 4, minilm.POSITIONS, whole=True)
        check("dropout", self.dropout, 0, 0.9)


@dataclass(frozen=True)
class Gain:
    """What fine-tuning was good for: how well a text finds those it goes with, before and after, for texts that nothing
    was learned from or chosen by."""

    before: float
    """Mean NDCG@10."""
    after: float
    recall_before: float
    """Mean Recall@10."""
    recall_after: float
    share: float
    """Of the way from the old weights to the new ones that is kept; 0: nothing was gained."""
    epochs: int
    pairs: int
    """Learned from."""
    held: int
    """Texts asked about."""
    candidates: int
    """Texts they were ranked among."""


@dataclass(frozen=True)
class Tuned:
    arrays: Arrays
    """What MinilmEncoder opens."""
    gain: Gain


def fine_tune(
    texts: Sequence[str],
    pairs: NDArray[np.integer],
    config: TextTowerConfig,
    options: Options,
    base: BertFiles | None = None,
) -> Tuned:
    """Learn from `pairs` (P, 2), rows of `texts` that are taken together, in any order and as often as it may be.

    `base` is where it begins; MiniLM where None. The same input, config, seed and threads give the same bytes. Raises
    NoData, ModelMissing, NotFinite, and what options.progress raises.
    """
    options.progress(0.0, "reading the model")
    base = base or bert_files.read(minilm.folder())
    known = Known.of(texts, pairs, Tokens(base.tokenizer, config.length), options.seed)
    random = np.random.default_rng(options.seed)
    with workplace(options, config.precision) as place:
        module = Bert(base, config.dropout, config.trained_layers).to(place.device).eval()
        lower = Lower(module, known.ids, place, options)
        log_included = torch.as_tensor(known.log_included(2 * config.batch), device=place.device)

        def loss(batch: Batch) -> Tensor:
            y = F.normalize(lower.vectors(batch.rows), dim=-1)
            near = y[batch.asking] @ y.T / config.temperature
            positive = near.gather(1, torch.as_tensor(batch.wanted, device=place.device)[:, None])[:, 0]
            partners = torch.as_tensor(batch.partners, device=place.device)
            negative = (near.float() - log_included[batch.rows]).masked_fill(partners, -float("inf"))
            return sampled_softmax(positive, negative)

        def judge(beat: Beat, part: slice = CHOOSING) -> tuple[float, float]:
            with torch.no_grad():
                found = np.zeros((len(known.ids), module.width), dtype=np.float32)
                for rows in batches([known.ids[row] for row in known.candidates], TOKENS):
                    chosen = known.candidates[rows]
                    found[chosen] = F.normalize(lower.vectors(chosen), dim=-1).float().cpu().numpy()
                    beat()
            return known.judged(found, part)

        best, before = judge(no_beat), judge(no_beat, REPORTING)
        old = {name: value.detach().clone() for name, value in module.state_dict().items()}
        course = descend(
            module, lambda epoch: known.batches(config, random), loss, config, options, place,
            steps=known.steps(config), fingerprint=_fingerprint(known, base, config, options),
            judge=lambda beat: judge(beat)[0], generators=[random], shares=(0.2, 0.9),
        )  # fmt: skip
        new = {name: value.detach().clone() for name, value in module.state_dict().items()}
        kept = 0.0
        for number, share in enumerate(BLENDS):
            options.progress(0.9 + 0.1 * number / len(BLENDS), f"trying {share:.0%} of what was learned")
            module.load_state_dict({name: torch.lerp(old[name], new[name], share) for name in new})
            if (found := judge(no_beat)) > best:
                best, kept = found, share
        module.load_state_dict({name: torch.lerp(old[name], new[name], kept) for name in new})
        after, weights = judge(no_beat, REPORTING), module.weights()
    gain = Gain(
        before[0], after[0], before[1], after[1], kept, len(course.losses), len(known.pairs),
        len(known.held[REPORTING]), len(known.candidates),
    )  # fmt: skip
    options.progress(1.0, f"NDCG@{K} {gain.before:.4f} before, {gain.after:.4f} after")
    return Tuned(minilm.arrays_of(BertFiles(weights, base.shape, base.tokenizer), config.encoder), gain)


def no_beat() -> None:
    pass


@dataclass(frozen=True)
class Batch:
    rows: NDArray[np.int64]
    """(R,): the texts of up to B pairs, each once."""
    asking: NDArray[np.int64]
    """(2B,): places in `rows`, both sides of each pair."""
    wanted: NDArray[np.int64]
    """(2B,): of the other side of each."""
    partners: NDArray[np.bool_]
    """(2B, R): which texts are no negatives: itself, and what is known to go with it."""


@dataclass(frozen=True)
class Known:
    """Distinct texts that say something and are in a pair, as tokens; pairs to learn from, and those held out."""

    ids: list[list[int]]
    pairs: NDArray[np.int64]
    """(P, 2): to learn from; each once, the lower row first."""
    codes: NDArray[np.int64]
    """(2P + R,): a * R + b of all that are known to go together, themselves with themselves among them; ascending."""
    held: NDArray[np.int64]
    """(H,): rows of texts that no pair to learn from has."""
    candidates: NDArray[np.int64]
    """(C,): among which partners are looked for, ascending; the held ones and all their partners are in it."""
    wanted: list[NDArray[np.int64]]
    """Of each held text, the rows that it goes with."""

    @classmethod
    def of(cls, texts: Sequence[str], pairs: NDArray[np.integer], tokens: Tokens, seed: int) -> "Known":
        """Raises NoData where too few pairs are left to learn from and to judge by."""
        used = np.unique(pairs)
        rows: dict[tuple[int, ...], int] = {}
        place = {int(row): rows.setdefault(tuple(tokens.of(texts[row])), len(rows)) for row in used}
        silent = rows.get((), -1)
        found = np.array([[place[int(a)], place[int(b)]] for a, b in pairs], dtype=np.int64).reshape(-1, 2)
        found = np.sort(found, axis=1)
        found = np.unique(found[(found[:, 0] != found[:, 1]) & (found != silent).all(axis=1)], axis=0)
        random = np.random.default_rng(seed)
        speaking = np.unique(found)
        held = np.sort(random.permutation(speaking)[: min(HELD_TEXTS, len(speaking) // HELD_SHARE)])
        out = np.isin(found, held)
        # Of pairs whose both sides are held each side looks for the other; those to learn from have neither.
        both = np.concatenate([found, found[:, ::-1]])
        wanted = [both[both[:, 0] == row, 1] for row in held]
        learned = found[~out.any(axis=1)]
        if len(held) < FEWEST_HELD or not len(learned):
            raise NoData(f"{len(found)} pairs of {len(speaking)} different texts are too few to learn from.")
        needed = np.unique(np.concatenate([held, *wanted]))
        others = random.permutation(np.setdiff1d(speaking, needed))[: max(0, CANDIDATES - len(needed))]
        codes = np.concatenate([both @ [len(rows), 1], np.arange(len(rows)) * (len(rows) + 1)])
        ids = [list(own) for own in rows]
        return cls(ids, learned, np.sort(codes), held, np.sort(np.concatenate([needed, others])), wanted)

    def steps(self, config: TextTowerConfig) -> int:
        return -(-min(len(self.pairs), config.pairs) // config.batch)

    def batches(self, config: TextTowerConfig, random: np.random.Generator) -> Iterator[Batch]:
        """An epoch: up to `config.pairs` pairs in random order."""
        order = random.permutation(len(self.pairs))[: config.pairs]
        for chosen in np.array_split(order, self.steps(config)):
            pairs = self.pairs[chosen]
            rows, places = np.unique(pairs, return_inverse=True)
            a, b = places.reshape(-1, 2).T
            asking, wanted = np.concatenate([a, b]), np.concatenate([b, a])
            codes = rows[asking, None] * len(self.ids) + rows[None, :]
            at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
            yield Batch(rows, asking, wanted, self.codes[at] == codes)

    def log_included(self, draws: int) -> NDArray[np.float32]:
        """Log of each text's chance to be in a batch of `draws` texts, float32 (R,)."""
        chances = np.bincount(self.pairs.ravel(), minlength=len(self.ids)) / self.pairs.size
        return np.log(np.maximum(-np.expm1(draws * np.log1p(-np.minimum(chances, 1 - 1e-9))), 1e-30)).astype(np.float32)

    def judged(self, vectors: NDArray[np.float32], part: slice) -> tuple[float, float]:
        """Mean NDCG@10 and Recall@10 of a part of the held texts' partners among the candidates. `vectors` (R, D), of
        length 1."""
        hits, relevant = partners.hits(vectors, self.held[part], self.candidates, self.wanted[part], K)
        return float(metrics.ndcg(hits, relevant, K).mean()), float(metrics.recall(hits, relevant, K).mean())


class Lower:
    """What the layers that do not learn make of every text, kept where it fits; and what the others make of that."""

    def __init__(self, module: Bert, ids: list[list[int]], place: Workplace, options: Options) -> None:
        self.module, self.ids, self.place = module, ids, place
        self.states: list[Tensor] | None = None
        if not module.fixed or sum(map(len, ids)) * module.width * 4 > KEPT_BYTES:
            return
        kept: list[Tensor] = [torch.empty(0)] * len(ids)
        done = 0
        for rows in batches(ids, TOKENS):
            states = self._computed(rows)
            for row, own in zip(rows, states, strict=True):
                kept[row] = own[: len(ids[row])].clone()
            done += len(rows)
            options.progress(0.2 * done / len(ids), f"{done:,} of {len(ids):,} texts read")
        self.states = kept

    def vectors(self, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """(B, D) of texts, with gradients where they are wanted; not of length 1."""
        given = padded([self.ids[row] for row in rows])
        mask = torch.as_tensor(given["mask"], device=self.place.device)
        if self.states is not None:
            states = torch.nn.utils.rnn.pad_sequence([self.states[row] for row in rows], batch_first=True)
        elif self.module.fixed:
            states = self._computed(rows)
        else:
            states = self.module.lower(torch.as_tensor(given["ids"], device=self.place.device), mask)
        return self.module.upper(states, mask)

    def _computed(self, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """Without dropout and gradients, so that it is the same each time."""
        given = {
            name: torch.as_tensor(array, device=self.place.device)
            for name, array in padded([self.ids[row] for row in rows]).items()
        }
        training = self.module.training
        self.module.eval()
        with torch.no_grad(), self.place.autocast():
            states = self.module.lower(**given).float()
        self.module.train(training)
        return states


def _fingerprint(known: Known, base: BertFiles, config: TextTowerConfig, options: Options) -> dict[str, object]:
    """What shapes the result, for its checkpoints."""
    told = hashlib.sha256(json.dumps(known.ids).encode())
    told.update(known.pairs.tobytes())
    for name in sorted(base.weights):
        told.update(np.ascontiguousarray(base.weights[name]).data)
    return {"tower": "text", "config": asdict(config), "seed": options.seed, "data": told.hexdigest()}
