from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from recommender.engine.learning.onnx import Network
from recommender.engine.learning.transformer import LATER, Transformer, buckets, dropout


def transformer(heads: int = 2, blocks: int = 2, max_length: int = 12) -> Transformer:
    torch.manual_seed(1)
    made = Transformer(8, blocks, heads, max_length, 0.5)
    for weight in made.parameters():  # biases and gains that matter
        torch.nn.init.normal_(weight, std=0.5)
    return made.eval()


def sequences(b: int, length: int) -> NDArray[np.float32]:
    return np.random.default_rng(b * 100 + length).normal(size=(b, length, 8)).astype(np.float32)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize(("b", "length"), [(1, 1), (3, 5), (2, 12)])
def test_a_transformer_s_graph_computes_what_torch_does(heads: int, b: int, length: int) -> None:
    module = transformer(heads)
    x = sequences(b, length)
    last = np.random.default_rng(0).integers(0, length, b)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()[np.arange(b), last]
    found = Network(module.graph())(x=x, last=last)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_same_network_gives_the_same_bytes() -> None:
    np.testing.assert_array_equal(transformer().graph(), transformer().graph())


def test_what_comes_later_changes_nothing_before_it() -> None:
    module = transformer()
    x = torch.from_numpy(sequences(2, 10))
    changed = x.clone()
    changed[:, 6:] *= -1
    with torch.no_grad():
        before, after = module(x), module(changed)
    torch.testing.assert_close(before[:, :6], after[:, :6])
    assert (before[:, 6:] - after[:, 6:]).abs().min() > 1e-4


def test_one_head_of_one_block_written_out_place_by_place() -> None:
    """In float64 and with loops: softmax over what came before of q . k / sqrt(D) and the distance's number."""
    module = transformer(heads=1, blocks=1)
    x = sequences(1, 6)[0].astype(np.float64)
    w = {name: weight.detach().numpy().astype(np.float64) for name, weight in module.named_parameters()}

    def norm(x: NDArray[np.float64], name: str) -> Any:
        z = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return z * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x: NDArray[np.float64], name: str) -> Any:
        return w[f"{name}.weight"] @ x + w[f"{name}.bias"]

    normed = [norm(one, "blocks.0.before_attention") for one in x]
    query, key, value = np.split(np.array([linear(one, "blocks.0.attend") for one in normed]), 3, 1)
    for place in range(6):
        logits = np.array([query[place] @ key[j] / np.sqrt(8) + w["distances"][0, place - j] for j in range(place + 1)])
        weights = np.exp(logits) / np.exp(logits).sum()
        one = x[place] + linear(weights @ value[: place + 1], "blocks.0.mix")
        wide = linear(norm(one, "blocks.0.before_feed"), "blocks.0.widen")
        gelu = 0.5 * wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3)))
        expected = norm(one + linear(gelu, "blocks.0.narrow"), "last")
        with torch.no_grad():
            found = module(torch.from_numpy(x.astype(np.float32))[None])[0, place].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_buckets_are_exact_near_by_and_widen() -> None:
    table = buckets(200)
    assert table[:17, 0].tolist() == [*range(16), 16]
    assert (np.diff(table[:, 0]) >= 0).all()
    assert table[199, 0] == 31
    assert (table[np.triu_indices(200)] == 0).all()
    np.testing.assert_array_equal(table[150:, 150:], table[:50, :50])
    assert LATER < -1e8


def test_dropout_keeps_the_mean_and_follows_its_generator() -> None:
    x = torch.ones(20_000)
    first, second = (dropout(x, 0.25, torch.Generator().manual_seed(3)) for _ in range(2))
    torch.testing.assert_close(first, second)
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(first.mean()) == pytest.approx(1, abs=0.02)
    assert dropout(x, 0.25, None) is x
