"""A causal transformer over sequences of vectors, and the same as an ONNX graph.

Pre-norm blocks (Xiong et al. 2020): x += attention(norm(x)), x += feed_forward(norm(x)), and a norm at the end.
Instead of vectors for positions, each head learns how much it minds a distance, one number for each of 32 buckets that
widen with the distance (T5: Raffel et al. 2020, section 2.1), so what it learns of neighbours holds anywhere in a
sequence. Time O(B L D (L + D)) and memory O(B L (H L + D)) per block, with H heads.
"""

from math import log

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from recommender.engine.learning.onnx import Graph

BUCKETS = 32  # of distances: the first half one by one, the rest on a logarithmic scale
WIDTH = 4  # of the feed-forward's inner layer, in D
LATER = -1e9  # what is added to the attention that would look ahead


def dropout(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Zeros for a random `share` of x and 1 / (1 - share) as much of the rest; x where there is no generator.

    torch's own dropout draws from one generator for all threads, whose order chance would decide.
    """
    if generator is None or not share:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - share, generator=generator).mul_(1 / (1 - share))


class Block(nn.Module):
    def __init__(self, factors: int, heads: int, share: float) -> None:
        super().__init__()
        self.heads, self.share = heads, share
        self.before_attention, self.before_feed = nn.LayerNorm(factors), nn.LayerNorm(factors)
        self.attend, self.mix = nn.Linear(factors, 3 * factors), nn.Linear(factors, factors)
        self.widen, self.narrow = nn.Linear(factors, WIDTH * factors), nn.Linear(WIDTH * factors, factors)

    def forward(self, x: Tensor, distances: Tensor, generator: torch.Generator | None) -> Tensor:
        """x (B, L, D); distances (H, L, L), what is added to the attention."""
        b, length, d = x.shape
        parts = self.attend(self.before_attention(x)).view(b, length, 3, self.heads, d // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # Written out: on a CPU, torch's fused attention takes two to four times as long to differentiate.
        weights = torch.matmul(query * (d // self.heads) ** -0.5, key.transpose(2, 3))
        weights = torch.softmax(weights + distances.to(weights.dtype), dim=-1)
        mixed = torch.matmul(weights, value).transpose(1, 2).reshape(b, length, d)
        x = x + dropout(self.mix(mixed), self.share, generator)
        wide = F.gelu(self.widen(self.before_feed(x)), approximate="tanh")
        return x + dropout(self.narrow(wide), self.share, generator)

    def into(self, graph: Graph, x: str, shape: str, split: str, distances: str) -> str:
        """The same in a graph: names of x, of the shapes (B, L, D) and (B, L, 3, H, D / H), of the distances."""
        factors = self.mix.in_features
        normed = _norm(graph, x, self.before_attention)
        parts = graph.add("Reshape", _linear(graph, normed, self.attend), split)
        parts = graph.add("Transpose", parts, perm=[2, 0, 3, 1, 4])
        query, key, value = (graph.add("Gather", parts, graph.constant(part, np.int64), axis=0) for part in range(3))
        query = graph.add("Mul", query, graph.constant((factors // self.heads) ** -0.5))
        weights = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
        weights = graph.add("Softmax", graph.add("Add", weights, distances), axis=-1)
        mixed = graph.add("Transpose", graph.add("MatMul", weights, value), perm=[0, 2, 1, 3])
        x = graph.add("Add", x, _linear(graph, graph.add("Reshape", mixed, shape), self.mix))
        wide = graph.add("Gelu", _linear(graph, _norm(graph, x, self.before_feed), self.widen), approximate="tanh")
        return graph.add("Add", x, _linear(graph, wide, self.narrow))


class Transformer(nn.Module):
    buckets: Tensor

    def __init__(self, factors: int, blocks: int, heads: int, max_length: int, share: float) -> None:
        super().__init__()
        self.heads, self.share = heads, share
        self.blocks = nn.ModuleList(Block(factors, heads, share) for _ in range(blocks))
        self.last = nn.LayerNorm(factors)
        self.distances = nn.Parameter(torch.zeros(heads, BUCKETS))
        self.register_buffer("buckets", torch.from_numpy(buckets(max_length)), persistent=False)
        for weight in self.parameters():
            if weight.dim() > 1 and weight is not self.distances:
                nn.init.xavier_normal_(weight)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(B, L, D) of x (B, L, D), with dropout where there is a generator; no place knows of what comes after it."""
        length = x.shape[1]
        distances = self.distances[:, self.buckets[:length, :length]]
        ahead = torch.full((length, length), LATER, device=x.device).triu(1)
        x = dropout(x, self.share, generator)
        for block in self.blocks:
            x = block(x, distances + ahead, generator)
        normed: Tensor = self.last(x)
        return normed

    def graph(self) -> NDArray[np.uint8]:
        """An ONNX graph: `x` float32 (B, L, D) and `last` int64 (B,) give (B, D), the output at place last of each."""
        graph = Graph()
        factors = self.last.normalized_shape[0]
        x = graph.input("x", np.float32, "B", "L", factors)
        last = graph.input("last", np.int64, "B")
        shape = graph.add("Shape", x)
        sizes = graph.add("Slice", shape, *(graph.constant([value], np.int64) for value in (0, 2)))
        heads = graph.constant([3, self.heads, factors // self.heads], np.int64)
        split = graph.add("Concat", sizes, heads, axis=0)
        length = graph.add("Slice", shape, *(graph.constant([value], np.int64) for value in (1, 2)))
        zero, one = graph.constant([0], np.int64), graph.constant([1], np.int64)
        table = self.distances[:, self.buckets] + torch.full(self.buckets.shape, LATER).triu(1)
        distances = graph.constant(_numpy(table))
        for axis in (1, 2):
            distances = graph.add("Slice", distances, zero, length, graph.constant([axis], np.int64))
        for block in self.blocks:
            assert isinstance(block, Block)
            x = block.into(graph, x, shape, split, distances)
        place = graph.add("Unsqueeze", last, one)
        return graph.encoded(_norm(graph, graph.add("GatherND", x, place, batch_dims=1), self.last), "B", factors)


def buckets(length: int) -> NDArray[np.int64]:
    """The bucket of the distance from each place to each other, int64 (L, L); those that are later are in the first."""
    near = BUCKETS // 2
    places = np.arange(length)
    distance = np.maximum(places[:, None] - places, 0)
    far = np.log(np.maximum(distance, near) / near) / log(max(length, near + 1) / near)
    return np.where(distance < near, distance, np.minimum(near + (far * near).astype(np.int64), BUCKETS - 1))


def _linear(graph: Graph, x: str, layer: nn.Linear) -> str:
    return graph.linear(x, _numpy(layer.weight), _numpy(layer.bias))


def _norm(graph: Graph, x: str, layer: nn.LayerNorm) -> str:
    return graph.layer_norm(x, _numpy(layer.weight), _numpy(layer.bias), layer.eps)


def _numpy(weight: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = weight.detach().cpu().float().numpy()
    return found
