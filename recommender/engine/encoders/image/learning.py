"""How `contrastive` learns, in torch: from views of single pictures, and from pictures that shoppers put together."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recommender.engine.encoders import Arrays
from recommender.engine.encoders.image.contrastive import CHANNELS, ContrastiveConfig, Stored
from recommender.engine.encoders.image.views import Distortion, views
from recommender.engine.encoders.simclr_learning import Network, learn_from_views, nt_xent
from recommender.engine.learning.descent import Descent
from recommender.engine.learning.loop import descend
from recommender.engine.learning.onnx import Graph
from recommender.engine.learning.workplace import workplace
from recommender.engine.options import Options

HEAD_BATCH = 256
HEAD_STEPS = 3000  # at most, a minute; a thousand pictures take 60 passes of 3
HEAD_DESCENT = Descent(epochs=60, learning_rate=1e-3, weight_decay=1e-2, clip=0.0)
DROPOUT = 0.5
SCALE = 16.0  # of vectors of length 1 with some hundred values, so that these are about 1


def tower(
    frames: Stored,
    nearest: NDArray[np.int64],
    config: ContrastiveConfig,
    options: Options,
    shares: tuple[float, float],
) -> NDArray[np.uint8]:
    """A network that learned from frames, as an ONNX graph; `nearest` (N, K) are the rows of those that look alike."""
    distortion = Distortion(config.crop, config.colour, config.grey, config.turn_degrees)
    random = np.random.default_rng(options.seed + 1)
    with workplace(options, config.precision) as place:
        network = Network(CHANNELS, config.width, config.depth).to(place.device)

        def view(rows: NDArray[np.int64]) -> Tensor:
            some = torch.as_tensor(frames[rows], device=place.device).permute(0, 3, 1, 2)
            return centred(views(some, config.size, distortion))

        def both(rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
            twins = rows
            if nearest.shape[1]:
                others = nearest[rows, random.integers(0, nearest.shape[1], len(rows))]
                twins = np.where(random.random(len(rows)) < config.neighbour_share, others, rows)
            return view(rows), view(twins)

        learn_from_views(
            network, both, len(frames), config, options, place, generators=[random], shares=shares,
            fingerprint=fingerprint((frames, nearest), config, options),
        )  # fmt: skip
        return exported(network, config.size)


def head(
    given: NDArray[np.float32],
    nearest: NDArray[np.int64],
    config: ContrastiveConfig,
    options: Options,
    shares: tuple[float, float],
) -> dict[str, NDArray[np.float32]]:
    """A head (see contrastive.Head) that learned from vectors (N, D) and, of each, those nearest (N, K), K > 0."""
    random = np.random.default_rng(options.seed + 2)
    batch = min(HEAD_BATCH, len(given))
    steps = len(given) // batch
    descent = replace(HEAD_DESCENT, epochs=max(1, min(HEAD_DESCENT.epochs, HEAD_STEPS // steps)))
    with workplace(options) as place:
        module = HeadModule(given.shape[1], config.hidden, config.dimension).to(place.device)

        def batches(epoch: int) -> Iterator[NDArray[np.int64]]:
            yield from random.permutation(len(given))[: steps * batch].reshape(steps, batch)

        def loss(rows: NDArray[np.int64]) -> Tensor:
            twins = nearest[rows, random.integers(0, nearest.shape[1], len(rows))]
            first, second = (module(torch.as_tensor(given[some], device=place.device)) for some in (rows, twins))
            return nt_xent(first, second, config.temperature)

        descend(
            module, batches, loss, descent, options, place, steps=steps,
            fingerprint=fingerprint((given, nearest), config, options), generators=[random], shares=shares,
        )  # fmt: skip
        return module.arrays()


class HeadModule(nn.Module):
    """contrastive.Head, as it learns: with some of what it is given, and of what it makes of that, left out."""

    def __init__(self, given: int, hidden: int, out: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(given, hidden), nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        scaled = functional.dropout(x * SCALE, DROPOUT, self.training)
        found: Tensor = self.outer(functional.dropout(torch.relu(self.inner(scaled)), DROPOUT, self.training))
        return found

    @classmethod
    def of(cls, arrays: Arrays) -> "HeadModule":
        """As it was learned before."""
        hidden, given = arrays["head_inner"].shape
        module = cls(given, hidden, len(arrays["head_outer"]))
        weights = {
            name: torch.tensor(np.asarray(arrays[f"head_{name.replace('.weight', '').replace('.bias', '_bias')}"]))
            for name in module.state_dict()
        }
        weights["inner.weight"] /= SCALE
        module.load_state_dict(weights)
        return module

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        parts = {
            "head_inner": self.inner.weight * SCALE,
            "head_inner_bias": self.inner.bias,
            "head_outer": self.outer.weight,
            "head_outer_bias": self.outer.bias,
        }
        return {name: part.detach().float().cpu().numpy().copy() for name, part in parts.items()}


def centred(pictures: Tensor) -> Tensor:
    """From 0 to 1, to from -1 to 1."""
    return pictures * 2 - 1


def exported(network: Network, size: int) -> NDArray[np.uint8]:
    """From pictures float32 (B, 4, size, size), 0 to 1, to features (B, F)."""
    graph = Graph()
    pictures = graph.input("pictures", np.float32, "B", CHANNELS, size, size)
    centre = graph.add("Sub", graph.add("Mul", pictures, graph.constant(2.0)), graph.constant(1.0))
    return graph.encoded(network.graph(graph, centre), "B", network.features)


def fingerprint(data: Sequence[NDArray[Any]], config: Any, options: Options) -> dict[str, Any]:
    """What shapes the result of learning, for its checkpoints."""
    sums = [[*array.shape, zlib.crc32(np.ascontiguousarray(array).data)] for array in data]
    return {"encoder": "image contrastive", "config": asdict(config), "seed": options.seed, "data": sums}
