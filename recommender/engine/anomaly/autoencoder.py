"""An autoencoder: what a narrow network cannot say again from few numbers is anomalous (Hawkins et al. 2002).

Learned by gradient descent on scaled rows, stopped early by the error on rows held out. The weights are plain arrays,
and scoring is a few matrix products in NumPy: no torch is needed for it. The score is the mean squared error over
columns, each in units of its own mean error, so that columns that nobody can foretell do not drown the others.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import Arrays
from recommender.engine.anomaly.rows import Scaling, blocks, check_number, check_scale, sample, shape
from recommender.engine.errors import NotFinite
from recommender.engine.learning.descent import Descent
from recommender.engine.options import Options

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

HELD = 0.1  # of the rows: what training stops by
FEWEST_HELD = 5  # rows; fewer would stop it by chance, so that it goes on to the end
LAYERS = 4


@dataclass(frozen=True)
class AutoencoderConfig(Descent):
    epochs: int = 30
    """Few: anomalies among the rows are learned last."""
    patience: int = 10
    learning_rate: float = 3e-3
    precision: str = "float32"
    """Rows are narrow: bfloat16 would save nothing."""
    members: int = 3
    """Networks, learned from different first weights, whose errors are averaged (Chen et al. 2017): one alone differs
    from seed to seed."""
    hidden: int = 64
    """Width of the two outer layers."""
    code: float = 0.2
    """Numbers that a row is told in, in parts of the square root of its varying columns; 1 at least. The fewer, the
    less of what is rare is learned along with what is usual."""
    batch: int = 256
    rows: int = 20_000
    """Learned from at most; more are drawn by chance."""
    scale: str = "standard"
    """See neighbours."""
    reach: float = 10.0
    """Widths from the centre beyond which inputs, not the values to be told again, are drawn in, so that no single row
    decides over the weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("members", self.members, 1, 100, whole=True)
        check_number("hidden", self.hidden, 1, 10_000, whole=True)
        check_number("code", self.code, 0.01, 100)
        check_number("batch", self.batch, 1, 1_000_000, whole=True)
        check_number("rows", self.rows, 2, 10_000_000, whole=True)
        check_number("reach", self.reach, 0.1, 1e4)
        check_scale(self.scale)


class AutoencoderDetector:
    Config = AutoencoderConfig

    @staticmethod
    def fit(rows: NDArray[np.float32], config: AutoencoderConfig, options: Options) -> Arrays:
        """`weight0` to `weight3` float32 (M, in, out) and `bias0` to `bias3` (M, out), those of M networks; `usual`
        float64 (F,): the mean error of each column. Raises NoData, Misfit, NotFinite.
        """
        import torch
        from torch import nn

        from recommender.engine.learning.loop import descend
        from recommender.engine.learning.workplace import workplace

        _, features = shape(rows)
        scaling = Scaling.learn(rows, config.scale)
        known = np.clip(scaling.scaled(sample(rows, config.rows, options.seed)), -config.reach, config.reach)
        order = np.random.default_rng(options.seed).permutation(len(known))
        count = int(HELD * len(known))
        held, own = (known[order[:count]], known[order[count:]]) if count >= FEWEST_HELD else (known[:0], known)
        code = max(1, round(config.code * max(1, int((scaling.width > 0).sum())) ** 0.5))
        networks = []
        with workplace(options, config.precision) as place:
            data = torch.from_numpy(own).to(place.device)
            asked = torch.from_numpy(held).to(place.device)
            for member in range(config.members):
                widths = (features, config.hidden, code, config.hidden, features)
                layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
                parts = [part for layer in layers[:-1] for part in (layer, nn.Tanh())]
                module = nn.Sequential(*parts, layers[-1]).to(place.device)
                generator = np.random.default_rng([options.seed, member])
                descend(
                    module,
                    _shuffled(data, generator, config.batch),
                    _loss(module),
                    config,
                    _of(options, member, config.epochs),
                    place,
                    steps=-(-len(own) // config.batch),
                    fingerprint={
                        "detector": "autoencoder", "config": asdict(config), "seed": options.seed, "member": member,
                        "rows": [*known.shape, crc32(np.ascontiguousarray(known).data)],
                    },
                    judge=_judge(module, asked) if len(held) else None,
                    judged="negative error",
                    generators=[generator],
                    shares=(member / config.members, (member + 1) / config.members),
                )  # fmt: skip
                tensors = [(layer.weight.detach().T, layer.bias.detach()) for layer in layers]
                networks.append([(weight.cpu().numpy(), bias.cpu().numpy()) for weight, bias in tensors])
        arrays: dict[str, NDArray[np.generic]] = {}
        for number in range(LAYERS):
            arrays[f"weight{number}"] = np.stack([network[number][0] for network in networks])
            arrays[f"bias{number}"] = np.stack([network[number][1] for network in networks])
        arrays |= scaling.arrays | {"usual": np.ones(features)}
        opened = OpenedAutoencoder(arrays, config)
        errors = opened.errors(scaling.scaled(sample(rows, config.rows, options.seed)))
        if not np.isfinite(errors).all():
            raise NotFinite("Lower learning_rate.")
        return {**arrays, "usual": _usual(errors)}

    @staticmethod
    def open(arrays: Arrays, config: AutoencoderConfig) -> "OpenedAutoencoder":
        return OpenedAutoencoder(arrays, config)


class OpenedAutoencoder:
    def __init__(self, arrays: Arrays, config: AutoencoderConfig) -> None:
        self.scaling, self.reach = Scaling.of(arrays), config.reach
        self.weights = [(arrays[f"weight{number}"], arrays[f"bias{number}"]) for number in range(LAYERS)]
        self.usual = arrays["usual"]
        self.widest = max(bias.shape[1] for _, bias in self.weights)

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        self.scaling.check(rows)
        found = np.empty(len(rows), dtype=np.float64)
        for block in blocks(len(rows), 32 * self.widest):
            found[block] = (self.errors(self.scaling.scaled(rows[block])) / self.usual).mean(axis=1)
        return found

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each column's squared error in units of what is usual; the score is their mean."""
        self.scaling.check(rows)
        found = np.empty(rows.shape, dtype=np.float32)
        for block in blocks(len(rows), 32 * self.widest):
            found[block] = self.errors(self.scaling.scaled(rows[block])) / self.usual
        return found

    def errors(self, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
        """(R, F): squared differences of scaled rows from what the networks say again, mean over these."""
        drawn_in, summed = np.clip(scaled, -self.reach, self.reach), np.zeros(scaled.shape)
        members = len(self.weights[0][0])
        for member in range(members):
            told = drawn_in
            for number, (weight, bias) in enumerate(self.weights):
                told = told @ weight[member] + bias[member]
                if number < LAYERS - 1:
                    told = np.tanh(told)
            summed += np.square(scaled.astype(np.float64) - told)
        return summed / members


def _shuffled(data: "Tensor", generator: np.random.Generator, size: int) -> Callable[[int], Iterator["Tensor"]]:
    """Batches of all rows (R, F) in another order each epoch."""
    import torch

    def batches(epoch: int) -> Iterator["Tensor"]:
        places = torch.from_numpy(generator.permutation(len(data))).to(data.device)
        for start in range(0, len(data), size):
            yield data[places[start : start + size]]

    return batches


def _loss(module: "Module") -> Callable[["Tensor"], "Tensor"]:
    def loss(batch: "Tensor") -> "Tensor":
        told: Tensor = module(batch)
        return (told - batch).square().mean()

    return loss


def _judge(module: "Module", held: "Tensor") -> Callable[[Callable[[], None]], float]:
    return lambda beat: -float(_loss(module)(held))


def _of(options: Options, member: int, epochs: int) -> Options:
    """The options of one network: its checkpoints lie in their own folder, and its epochs follow the last one's."""
    return replace(
        options,
        checkpoints=None if options.checkpoints is None else options.checkpoints / str(member),
        report=lambda step, value: options.report(member * epochs + step, value),
    )


def _usual(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(errors.mean(axis=0), 1e-6)
