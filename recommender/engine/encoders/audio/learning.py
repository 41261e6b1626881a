"""How `contrastive` learns, in torch: from two views of a crop, or of a crop and one that says the same elsewhere."""

import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor, nn

from recommender.engine.encoders import simclr_learning
from recommender.engine.encoders.audio.bridges import kin
from recommender.engine.encoders.audio.contrastive import PARTS, ContrastiveConfig
from recommender.engine.encoders.audio.crops import BANDS, FRAMES
from recommender.engine.encoders.audio.views import Distortion, views
from recommender.engine.encoders.simclr_learning import Head
from recommender.engine.learning.loop import descend
from recommender.engine.learning.onnx import Graph
from recommender.engine.learning.workplace import workplace
from recommender.engine.options import Options


class Network(simclr_learning.Network):
    """Crops (B, 1, M, F) to vectors (B, P), those that the loss compares: for sounds they retrieve better than what
    comes before them. The mean of each third of time goes in by itself, since order makes a word or a melody."""

    def __init__(self, width: int, depth: int, projection: int) -> None:
        super().__init__(1, width, depth)
        self.features *= PARTS
        self.head = Head(self.features, projection)
        self.projection = projection

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(x)
        found: Tensor = self.head(nnf.avg_pool2d(maps, (maps.shape[2], maps.shape[3] // PARTS)).flatten(1))
        return found

    def graph(self, graph: Graph, x: str) -> str:
        scale = 2 ** (len(self.blocks) + 1)
        kernel = [BANDS // scale, FRAMES // scale // PARTS]
        pooled = graph.add("AveragePool", self.maps_graph(graph, x), kernel_shape=kernel, strides=kernel)
        inner, norm, _, outer = self.head
        assert isinstance(inner, nn.Linear) and isinstance(norm, nn.BatchNorm1d) and isinstance(outer, nn.Linear)
        assert norm.running_mean is not None and norm.running_var is not None
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        bias = (norm.bias - norm.running_mean * gain).detach()
        weight = inner.weight.detach() * gain[:, None]
        hidden = graph.linear(graph.add("Flatten", pooled), weight.cpu().numpy(), bias.cpu().numpy())
        return graph.linear(graph.add("Relu", hidden), outer.weight.detach().cpu().numpy())


def learn(
    heard: NDArray[np.float32],
    bridges: list[NDArray[np.int64]],
    alike: NDArray[np.float32],
    config: ContrastiveConfig,
    options: Options,
    shares: tuple[float, float],
) -> NDArray[np.uint8]:
    """A network that learned from crops (N, M, F), as an ONNX graph. `bridges`: for each, the rows of those that say
    the same in other recordings, as far as can be told; may be empty. `alike` (N, S): by whose cosine a crop's
    nearest are spared."""
    distortion = Distortion(
        config.voice, config.bend, config.hurry, config.shift, config.colour, config.swell, config.contrast,
        config.mixing, config.noise, config.masks,
    )  # fmt: skip
    bridged = np.zeros(len(heard), dtype=np.int64)
    bridged[: len(bridges)] = [len(rows) for rows in bridges]
    table = np.zeros((len(heard), max(1, bridged.max(initial=0))), dtype=np.int64)
    for row, others in enumerate(bridges):
        table[row, : len(others)] = others
    with workplace(options, config.precision) as place:
        network = Network(config.width, config.depth, config.projection).to(place.device)
        # Convolutions on a CPU take half the time so.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it

        def across(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            """Some of these rows replaced by one of their bridges."""
            chances = torch.rand(2, len(rows)).numpy()
            walked = (chances[0] < config.bridging) & (bridged[rows] > 0)
            chosen = table[rows, (chances[1] * np.maximum(1, bridged[rows])).astype(np.int64)]
            return np.where(walked, chosen, rows)

        def views_of(rows: NDArray[np.int64]) -> Tensor:
            return views(torch.as_tensor(heard[rows][:, None], device=place.device), distortion)

        def loss(rows: NDArray[np.int64]) -> Tensor:
            seen = torch.cat((views_of(rows), views_of(across(rows))))
            found = network(seen.contiguous(memory_format=torch.channels_last))
            near = torch.as_tensor(alike[rows] @ alike[rows].T >= limits[rows, None], device=place.device)
            return spared_nt_xent(found[: len(rows)], found[len(rows) :], near | near.T, config.temperature)

        limits = kin(alike, config.spared)
        random = np.random.default_rng(options.seed)
        batch = min(config.batch, len(heard))
        steps = min(len(heard) // batch, config.steps)  # what is left over has its turn in the next epoch
        epochs = max(1, min(config.epochs, round(config.steps / steps)))

        def batches(epoch: int) -> Iterator[NDArray[np.int64]]:
            yield from random.permutation(len(heard))[: steps * batch].reshape(steps, batch)

        descend(
            network, batches, loss, replace(config, epochs=epochs), options, place, steps=steps,
            fingerprint=_fingerprint(heard, config, options), generators=[random], shares=shares,
        )  # fmt: skip
        return exported(network)


def spared_nt_xent(first: Tensor, second: Tensor, near: Tensor, temperature: float) -> Tensor:
    """simclr_learning.nt_xent of views (B, P) where none is told from those that are `near` it, bool (B, B): among many
    takes of a word, most would be taken for others."""
    twin_views = nnf.normalize(torch.cat((first, second)).float(), dim=1)
    count = len(first)
    twins = torch.arange(2 * count, device=first.device).roll(count)
    spared = near.repeat(2, 2) | torch.eye(2 * count, dtype=torch.bool, device=first.device)
    spared &= twins[:, None] != torch.arange(2 * count, device=first.device)[None, :]
    cosines = twin_views @ twin_views.T / temperature
    return nnf.cross_entropy(cosines.masked_fill(spared, -float("inf")), twins)


def exported(network: Network) -> NDArray[np.uint8]:
    """From `crops` float32 (B, 1, M, F) to vectors (B, P)."""
    graph = Graph()
    crops = graph.input("crops", np.float32, "B", 1, BANDS, FRAMES)
    return graph.encoded(network.graph(graph, crops), "B", network.projection)


def _fingerprint(heard: NDArray[np.float32], config: ContrastiveConfig, options: Options) -> dict[str, Any]:
    sums = [*heard.shape, zlib.crc32(np.ascontiguousarray(heard).data)]
    return {"encoder": "audio contrastive", "config": asdict(config), "seed": options.seed, "data": sums}
