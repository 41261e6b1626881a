import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from recommender.engine.index import exact
from recommender.engine.index.exact import top_k
from tests.contracts.index import IndexContract, brute_force, vectors_like_learned


class TestExact(IndexContract):
    name = "exact"


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([-1, 0, 0.5, 2])),
       st.integers(1, 15))  # fmt: skip
def test_top_k_orders_ties_by_row_wherever_they_fall(scores: np.ndarray, k: int) -> None:
    rows, best = top_k(scores, k)
    for b, row in enumerate(scores.tolist()):
        assert rows[b].tolist() == sorted(range(len(row)), key=lambda i: (-row[i], i))[:k]
    np.testing.assert_array_equal(best, np.take_along_axis(scores, rows, 1))


def test_nan_counts_as_lowest() -> None:
    rows, _ = top_k(np.array([[np.nan, 1, -np.inf, 2]], np.float32), 4)
    assert rows.tolist() == [[3, 1, 2, 0]]


def test_blocks_change_nothing(monkeypatch, tmp_path) -> None:
    vectors, queries = vectors_like_learned(300), vectors_like_learned(40, seed=2)
    monkeypatch.setattr(exact, "BLOCK_BYTES", 4 * 300 * 7)
    rows, _ = exact.ExactIndex.open(tmp_path, vectors).search(queries, 9)
    np.testing.assert_array_equal(rows, brute_force(vectors, queries, 9))
