import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from recommender.engine.data.interactions import UNKNOWN, Interactions
from recommender.engine.errors import Cancelled, NotFinite
from recommender.engine.trainers import sparse_inverse
from tests import worlds


def nothing(share: float, message: str) -> None:
    pass


def weights_on(data: Interactions) -> csr_matrix:
    """Strengths of both signs and all sizes, float32 (U, M), every item taken by somebody."""
    taken = data.matrix
    taken = taken[:, np.bincount(taken.indices, minlength=taken.shape[1]) > 0].tocsr()
    random = np.random.default_rng(5)
    taken.data = (random.lognormal(0, 1, taken.nnz) * np.where(random.random(taken.nnz) < 0.3, -1, 1)).astype(
        np.float32
    )
    return taken


@pytest.fixture(scope="module")
def weighed() -> csr_matrix:
    """(150, 70 or so)."""
    return weights_on(worlds.long_tail(users=150, items=80))


def exact(weighed: csr_matrix, ridge: float) -> np.ndarray:
    """W by the inverse of the full matrix, float64."""
    x = weighed.toarray().astype(np.float64)
    p = np.linalg.inv(x.T @ x + ridge * np.eye(x.shape[1]))
    w = -p / np.diag(p)
    np.fill_diagonal(w, 0)
    return w


@pytest.mark.parametrize("block", [1, 300, 8_000_000])
def test_with_all_predictors_it_is_exact(weighed: csr_matrix, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_inverse, "BLOCK_PAIRS", block)
    m = weighed.shape[1]
    together = (weighed.T @ weighed).toarray() != 0
    together[np.diag_indices(m)] = False
    filled = weighed + csr_matrix(np.full((1, m), 0.01, np.float32)[np.zeros(150, int)])  # each two items share a user
    np.testing.assert_allclose(
        sparse_inverse.columns(csr_matrix(filled), 3.0, m, nothing).toarray().T, exact(filled, 3.0), atol=1e-4
    )
    found = sparse_inverse.columns(weighed, 3.0, m, nothing)
    np.testing.assert_array_equal(np.diff(found.indptr), together.sum(axis=1))


def test_a_column_is_the_ridge_regression_on_its_best_predictors(weighed: csr_matrix) -> None:
    found = sparse_inverse.columns(weighed, 2.0, 6, nothing)
    x = weighed.toarray().astype(np.float64)
    gram = x.T @ x
    for item in (0, 7, 40):
        explains = gram[item] ** 2 / (np.diag(gram) + 2.0)
        explains[item] = -1
        best = np.argsort(-explains)[:6]
        expected = np.zeros(len(gram))
        expected[best] = np.linalg.solve(gram[np.ix_(best, best)] + 2 * np.eye(6), gram[best, item])
        np.testing.assert_allclose(found[item].toarray()[0], expected, rtol=1e-3, atol=1e-5)


def test_no_item_predicts_itself_or_has_more_than_its_share(weighed: csr_matrix) -> None:
    found = sparse_inverse.columns(weighed, 2.0, 5, nothing)
    assert (found.diagonal() == 0).all()
    assert np.diff(found.indptr).max() == 5
    assert UNKNOWN not in found.indices


def test_the_order_of_items_and_users_does_not_matter(weighed: csr_matrix) -> None:
    random = np.random.default_rng(0)
    items, users = random.permutation(weighed.shape[1]), random.permutation(weighed.shape[0])
    found = sparse_inverse.columns(weighed, 2.0, 9, nothing).toarray()
    other = sparse_inverse.columns(weighed[users][:, items].tocsr(), 2.0, 9, nothing).toarray()
    np.testing.assert_allclose(other, found[np.ix_(items, items)], rtol=1e-3, atol=1e-5)


def test_an_item_that_shares_no_user_has_no_predictor() -> None:
    found = sparse_inverse.columns(csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)), 1.0, 2, nothing)
    np.testing.assert_allclose(found.toarray(), [[0, 2 / 3, 0], [2 / 3, 0, 0], [0, 0, 0]], rtol=1e-6)


def test_one_item_alone_is_allowed() -> None:
    found = sparse_inverse.columns(csr_matrix(np.ones((4, 1), np.float32)), 1.0, 10, nothing)
    assert found.shape == (1, 1)
    assert found.nnz == 0


def test_progress_rises_and_may_cancel_in_both_stages(weighed: csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_inverse, "BLOCK_PAIRS", 300)
    monkeypatch.setattr(sparse_inverse, "REPORT_EVERY", 8)
    shares: list[float] = []
    sparse_inverse.columns(weighed, 2.0, 5, lambda share, message: shares.append(share))
    assert shares == sorted(shares)
    assert len(shares) > 10
    for limit in (0.05, 0.6):
        heard: list[float] = []

        def cancel(share: float, message: str, limit: float = limit, heard: list[float] = heard) -> None:
            heard.append(share)
            if share > limit:
                raise Cancelled()

        with pytest.raises(Cancelled):
            sparse_inverse.columns(weighed, 2.0, 5, cancel)
        assert heard == shares[: len(heard)]


def test_a_matrix_that_cannot_be_factorised_is_an_error_of_ours() -> None:
    twins = csr_matrix(np.ones((5, 4), np.float32))
    with pytest.raises(NotFinite):
        sparse_inverse.columns(twins, -1.0, 3, nothing)


def test_memory_grows_with_items_not_with_their_square(weighed: csr_matrix) -> None:
    small, large = (sparse_inverse.memory_bytes(weighed, items, 100) for items in (1_000_000, 2_000_000))
    assert large < 2.01 * small
    assert small < 4 * 2**30


@pytest.mark.parametrize(("held", "lines"), [(1, 1), (3, 16), (1000, 16)])
def test_a_core_and_lines_by_blocks_are_the_products_of_each_item_s_set(
    held: int, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_inverse, "HELD", held)
    monkeypatch.setattr(sparse_inverse, "LINES", lines)
    monkeypatch.setattr(sparse_inverse, "BLOCK_PAIRS", 2000)
    x = weights_on(worlds.long_tail(users=900, items=400))
    found = sparse_inverse.columns(x, 2.0, 12, nothing)
    by_item, ridge = x.T.tocsr(), 2 * np.eye(12, dtype=np.float32)
    for item, (low, high) in enumerate(pairwise(found.indptr)):
        near = by_item[found.indices[low:high]]
        expected = np.linalg.solve(
            (near @ near.T).toarray() + ridge[: high - low, : high - low], (near @ by_item[item].T).toarray()[:, 0]
        )
        np.testing.assert_allclose(found.data[low:high], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [3, 60])
def test_memory_stays_below_what_was_said(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_inverse, "BLOCK_PAIRS", 20_000)
    x = weights_on(worlds.long_tail(users=1500, items=1200))
    sparse_inverse.columns(x, 2.0, 1, nothing)  # imports, which stay
    tracemalloc.start()
    try:
        sparse_inverse.columns(x, 2.0, size, nothing).T.tocsr()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < sparse_inverse.memory_bytes(x, x.shape[1], size)
