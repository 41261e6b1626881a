"""SimCLR's network, loss and training, in torch; and the network as an ONNX graph. See simclr.

B batch, C channels, F features, P the length of what the loss compares.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from recommender.engine.encoders.simclr import SimclrConfig
from recommender.engine.learning.loop import Course, descend
from recommender.engine.learning.onnx import Graph
from recommender.engine.learning.workplace import Workplace
from recommender.engine.options import Options

Views = Callable[[NDArray[np.int64]], tuple[Tensor, Tensor]]
"""Of the items in these rows (B,), two different random views each, float32 (B, C, height, width), on the device. Draws
from torch's generators, which `workplace` seeds and checkpoints keep, or from those given to `learn_from_views`."""


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """-log(exp(cos(z, z') / t) / sum over all other views of exp(cos(z, .) / t)), the mean over all 2 B views z with
    twin z' (Chen et al. 2020, equation 1). first, second (B, P)."""
    views = F.normalize(torch.cat((first, second)).float(), dim=1)
    cosines = views @ views.T / temperature
    cosines.fill_diagonal_(-float("inf"))
    count = len(first)
    twins = torch.arange(2 * count, device=views.device).roll(count)
    return F.cross_entropy(cosines, twins)


class Block(nn.Module):
    """Two convolutions and a way around them (He et al. 2016), at half the resolution and `out` channels."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(out)
        self.second = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(out)
        self.around = nn.Conv2d(channels, out, 1, stride=2, bias=False)
        self.around_norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        found = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(found)) + self.around_norm(self.around(x)))


class Network(nn.Module):
    """(B, C, height, width), of any height and width, to features (B, F): a small residual network and the mean over
    all places. F = width 2^depth."""

    def __init__(self, channels: int, width: int, depth: int, stride: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(Block(width << level, width << level + 1) for level in range(depth))
        self.features = width << depth

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x).mean(dim=(2, 3))

    def graph(self, graph: Graph, x: str) -> str:
        """The same in ONNX, as it is after training: nodes that make features (B, F) of `x`."""
        return graph.add("Flatten", graph.add("GlobalAveragePool", self.maps_graph(graph, x)))

    def maps(self, x: Tensor) -> Tensor:
        """What the last block sees at each place (B, F, height / 2^(depth + 1), width / 2^(depth + 1))."""
        found = torch.relu(self.stem_norm(self.stem(x)))
        for block in self.blocks:
            found = block(found)
        return found

    def maps_graph(self, graph: Graph, x: str) -> str:
        found = graph.add("Relu", _convolution(graph, x, self.stem, self.stem_norm))
        for block in self.blocks:
            assert isinstance(block, Block)
            inner = graph.add("Relu", _convolution(graph, found, block.first, block.first_norm))
            outer = _convolution(graph, inner, block.second, block.second_norm)
            around = _convolution(graph, found, block.around, block.around_norm)
            found = graph.add("Relu", graph.add("Add", outer, around))
        return found


class Head(nn.Sequential):
    """Features (B, F) to what the loss compares (B, P)."""

    def __init__(self, features: int, projection: int) -> None:
        super().__init__(
            nn.Linear(features, features, bias=False),
            nn.BatchNorm1d(features),
            nn.ReLU(),
            nn.Linear(features, projection, bias=False),
        )


def learn_from_views(
    network: Network,
    views: Views,
    count: int,
    config: SimclrConfig,
    options: Options,
    place: Workplace,
    *,
    fingerprint: Mapping[str, Any],
    generators: Sequence[np.random.Generator] = (),
    shares: tuple[float, float] = (0.0, 1.0),
) -> Course:
    """Train `network`, which is on `place.device`, in place, on `count` >= 2 items; it ends in eval mode. Called
    within `workplace`. Raises NotFinite and what progress raises."""
    random = np.random.default_rng(options.seed)
    learner = nn.Sequential(network, Head(network.features, config.projection).to(place.device))
    learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch forgot to declare it
    batch = min(config.batch, count)
    steps = count // batch  # those left over have their turn in another order, in the next epoch
    epochs = max(1, min(config.epochs, round(config.steps / steps)))
    steps = min(steps, config.steps)

    def batches(epoch: int) -> Iterator[NDArray[np.int64]]:
        yield from random.permutation(count)[: steps * batch].reshape(steps, batch)

    def loss(rows: NDArray[np.int64]) -> Tensor:
        first, second = views(rows)
        # Channels last: torch's convolutions on a CPU take half the time so.
        found = learner(torch.cat((first, second)).contiguous(memory_format=torch.channels_last))
        return nt_xent(found[: len(rows)], found[len(rows) :], config.temperature)

    return descend(
        learner, batches, loss, replace(config, epochs=epochs), options, place,
        steps=steps, fingerprint=fingerprint, generators=[random, *generators], shares=shares,
    )  # fmt: skip


def _convolution(graph: Graph, x: str, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> str:
    """A convolution with the batch normalisation that follows it folded into its weights."""
    assert norm.running_mean is not None and norm.running_var is not None
    with torch.no_grad():
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = (convolution.weight * gain[:, None, None, None]).float().cpu().numpy()
        bias = (norm.bias - norm.running_mean * gain).float().cpu().numpy()
    sizes, strides, pads = (
        [int(side) for side in pair] for pair in (convolution.kernel_size, convolution.stride, convolution.padding)
    )
    return graph.add(
        "Conv", x, graph.constant(weight), graph.constant(bias), kernel_shape=sizes, strides=strides, pads=pads * 2
    )  # fmt: skip
