"""A BERT encoder (Devlin et al. 2019) as an ONNX graph, put together node by node from a Hugging Face model's weights.

int8 keeps a quarter of the bytes and takes half the time. Weights are rounded per output channel, word vectors per
word. What flows between layers is rounded too, per token: with one scale for the whole batch, as quantisers have it, a
text's vector would depend on the texts beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.learning.onnx import Graph

MASKED = -1e4  # added to a padded place's attention: exp of it is 0
FLOAT, UINT8 = 1, 2  # ONNX's numbers for types
PRECISIONS = ("int8", "float32")

Weights = Mapping[str, NDArray[np.float32]]
"""By their names in Hugging Face's BertModel."""


@dataclass(frozen=True)
class Shape:
    """What the weights do not tell of themselves."""

    heads: int
    epsilon: float = 1e-12
    """Of the layer norms."""


def layers_of(weights: Weights) -> int:
    """How many layers the weights are for."""
    return 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))


def build(weights: Weights, shape: Shape, precision: str) -> NDArray[np.uint8]:
    """The graph: `ids` int64 (B, L), L up to the model's places, and `mask` int64 (B, L), 1 where there is a token and
    0 behind a shorter text's last, to float32 (B, D): the mean of the tokens' vectors, of length 1.
    """
    return _Builder(weights, shape, precision).built()


class _Builder:
    def __init__(self, weights: Weights, shape: Shape, precision: str) -> None:
        self.graph, self.weights, self.shape, self.precision = Graph(), weights, shape, precision

    def built(self) -> NDArray[np.uint8]:
        graph = self.graph
        ids = graph.input("ids", np.int64, "B", "L")
        mask = graph.add("Cast", graph.input("mask", np.int64, "B", "L"), to=FLOAT)
        absent = graph.add("Mul", graph.add("Sub", mask, graph.constant(1.0)), graph.constant(-MASKED))
        absent = graph.add("Unsqueeze", absent, graph.constant([1, 2], np.int64))  # (B, 1, 1, L)
        x = self.embedded(ids)
        for layer in range(layers_of(self.weights)):
            x = self.layer(f"encoder.layer.{layer}", x, absent)
        shares = graph.add("Unsqueeze", mask, graph.constant([1], np.int64))  # (B, 1, L)
        total = graph.add("Squeeze", graph.add("MatMul", shares, x), graph.constant([1], np.int64))
        pooled = graph.add("LpNormalization", total, axis=-1, p=2)
        return graph.encoded(pooled, "B", int(self.weights["embeddings.LayerNorm.weight"].shape[0]))

    def embedded(self, ids: str) -> str:
        graph, words = self.graph, self.weights["embeddings.word_embeddings.weight"]
        if self.precision == "int8":
            rounded, scales = quantised(words)
            x = graph.add("Cast", graph.add("Gather", graph.constant(rounded, np.int8), ids), to=FLOAT)
            x = graph.add("Mul", x, graph.add("Gather", graph.constant(scales[:, None]), ids))
        else:
            x = graph.add("Gather", graph.constant(words), ids)
        places = self.weights["embeddings.position_embeddings.weight"]
        places = places + self.weights["embeddings.token_type_embeddings.weight"][0]
        end = graph.add("Shape", ids, start=1, end=2)
        here = graph.add("Slice", graph.constant(places), graph.constant([0], np.int64), end)
        return self.norm("embeddings.LayerNorm", graph.add("Add", x, here))

    def layer(self, name: str, x: str, absent: str) -> str:
        graph = self.graph
        heard = self.linear(f"{name}.attention.output.dense", self.attention(name, x, absent))
        x = self.norm(f"{name}.attention.output.LayerNorm", graph.add("Add", x, heard))
        inner = graph.add("Gelu", self.linear(f"{name}.intermediate.dense", x))
        return self.norm(f"{name}.output.LayerNorm", graph.add("Add", x, self.linear(f"{name}.output.dense", inner)))

    def attention(self, name: str, x: str, absent: str) -> str:
        graph, heads = self.graph, self.shape.heads
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        width = len(self.weights[f"{parts[0]}.bias"])
        scale = np.repeat(np.array([(width // heads) ** -0.5, 1, 1], np.float32), width)
        weight = np.concatenate([self.weights[f"{part}.weight"] for part in parts]) * scale[:, None]
        bias = np.concatenate([self.weights[f"{part}.bias"] for part in parts]) * scale
        split = graph.constant([0, 0, 3, heads, width // heads], np.int64)
        made = graph.add("Reshape", self.product(x, weight, bias), split)
        made = graph.add("Transpose", made, perm=[2, 0, 3, 1, 4])  # (3, B, heads, L, width)
        one = [graph.add("Gather", made, graph.constant(part, np.int64), axis=0) for part in range(3)]
        scores = graph.add("MatMul", one[0], graph.add("Transpose", one[1], perm=[0, 1, 3, 2]))
        shares = graph.add("Softmax", graph.add("Add", scores, absent), axis=-1)
        heard = graph.add("Transpose", graph.add("MatMul", shares, one[2]), perm=[0, 2, 1, 3])
        return graph.add("Reshape", heard, graph.constant([0, 0, width], np.int64))

    def norm(self, name: str, x: str) -> str:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return self.graph.layer_norm(x, weight, bias, self.shape.epsilon)

    def linear(self, name: str, x: str) -> str:
        return self.product(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def product(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """x W' + b. In int8: x of each token is rounded to 127 steps of its largest, W of each output to 127 of its."""
        graph = self.graph
        if self.precision != "int8":
            return graph.linear(x, weight, bias)
        rounded, scales = quantised(weight)
        largest = graph.add("ReduceMax", graph.add("Abs", x), graph.constant([-1], np.int64), keepdims=1)
        step = graph.add("Max", graph.add("Mul", largest, graph.constant(1 / 127)), graph.constant(1e-12))
        steps = graph.add("Round", graph.add("Div", x, step))
        # Unsigned numbers times signed ones are what processors multiply fastest; 128 stands for 0. Those without VNNI
        # add pairs of products in 16 bits, which now and then are too few: it costs .002 of the cosine to float32.
        shifted = graph.add("Cast", graph.add("Add", steps, graph.constant(128.0)), to=UINT8)
        found = graph.add("MatMulInteger", shifted, graph.constant(rounded.T, np.int8), graph.constant(128, np.uint8))
        # One scale after the other: of both in one product ONNX Runtime 1.32 makes a fused node that knows one for all.
        found = graph.add("Mul", graph.add("Mul", graph.add("Cast", found, to=FLOAT), step), graph.constant(scales))
        return graph.add("Add", found, graph.constant(bias))


def quantised(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Each row (N, D) in 127 steps of its largest number: int8 (N, D), and the step float32 (N,)."""
    scales = np.maximum(np.abs(weight).max(axis=1) / 127, 1e-12).astype(np.float32)
    return np.round(weight / scales[:, None]).astype(np.int8), scales
