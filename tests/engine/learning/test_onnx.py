import numpy as np
import pytest
import torch

from recommender.engine.learning.onnx import Graph, Network


def test_a_graph_computes_what_it_says() -> None:
    graph = Graph()
    x = graph.input("x", np.float32, "B", 3)
    weight, bias = np.arange(6, dtype=np.float32).reshape(2, 3), np.array([1, -1], np.float32)
    network = Network(graph.encoded(graph.linear(x, weight, bias), "B", 2))
    for b in (1, 4):
        given = np.random.default_rng(b).normal(size=(b, 3)).astype(np.float32)
        np.testing.assert_allclose(network(x=given), given @ weight.T + bias, rtol=1e-5, atol=1e-6)


def test_a_layer_norm_is_torch_s() -> None:
    graph = Graph()
    norm = torch.nn.LayerNorm(8, eps=0.1)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = graph.input("x", np.float32, "B", "L", 8)
    normed = graph.layer_norm(x, norm.weight.detach().numpy(), norm.bias.detach().numpy(), 0.1)
    given = np.random.default_rng(0).normal(size=(2, 3, 8)).astype(np.float32)
    found = Network(graph.encoded(normed, "B", "L", 8))(x=given)
    np.testing.assert_allclose(found, norm(torch.from_numpy(given)).detach().numpy(), rtol=1e-5, atol=1e-5)


def test_a_graph_that_makes_no_sense_is_refused() -> None:
    from onnx.checker import ValidationError

    graph = Graph()
    with pytest.raises(ValidationError):
        graph.encoded(graph.add("NoSuchThing", graph.input("x", np.float32, "B")), "B")
