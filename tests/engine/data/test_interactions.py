import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from tests import worlds


@pytest.fixture
def data() -> Interactions:
    """User 1 comes back to item 2 and takes back item 0; user 0 has nothing."""
    return Interactions.build(
        worlds.numbered(3, "u"),
        worlds.numbered(4, "i"),
        user_rows=[2, 1, 1, 1, 1],
        item_rows=[3, 2, 0, 2, 0],
        weights=[1, 2, 3, 4, -3],
        times=[50, 40, 10, 20, 30],
        baskets=[9, 8, 5, 6, 7],
    )


def test_events_are_sorted_by_user_then_time(data: Interactions) -> None:
    assert data.user_rows.tolist() == [1, 1, 1, 1, 2]
    assert data.times.tolist() == [10, 20, 30, 40, 50]
    assert data.item_rows.tolist() == [0, 2, 0, 2, 3]
    assert data.baskets is not None
    assert data.baskets.tolist() == [5, 6, 7, 8, 9]
    assert data.indptr.tolist() == [0, 0, 4, 5]
    assert (len(data), data.shape) == (5, (3, 4))


def test_events_of_one_moment_keep_the_order_given() -> None:
    data = Interactions.build(worlds.numbered(1, "u"), worlds.numbered(3, "i"), [0] * 3, [2, 0, 1], times=[5, 5, 5])
    assert data.item_rows.tolist() == [2, 0, 1]


def test_the_matrix_sums_pairs_and_drops_what_cancels_out(data: Interactions) -> None:
    assert data.matrix.toarray().tolist() == [[0, 0, 0, 0], [0, 0, 6, 0], [0, 0, 0, 1]]
    assert data.matrix.nnz == 2
    assert data.matrix.dtype == np.float32


def test_histories_of_some_users_in_any_order(data: Interactions) -> None:
    histories = data.histories([2, 0, 1, 2])
    assert [rows.tolist() for rows, _, _ in histories] == [[3], [], [0, 2, 0, 2], [3]]
    assert histories.user_rows.tolist() == [0, 2, 2, 2, 2, 3]
    assert len(data.histories([])) == 0


def test_batches_hold_every_user_once(data: Interactions) -> None:
    histories = data.histories([1, 0, 2, 1, 2])
    parts = list(histories.batches(2))
    assert [users for users, _ in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    joined = [rows.tolist() for _, part in parts for rows, _, _ in part]
    assert joined == [rows.tolist() for rows, _, _ in histories]


def test_where_keeps_rows_and_baskets_together(data: Interactions) -> None:
    kept = data.where(data.weights > 1)
    assert kept.item_rows.tolist() == [0, 2, 2]
    assert kept.baskets is not None
    assert kept.baskets.tolist() == [5, 6, 8]
    assert kept.shape == data.shape


def test_a_single_history_defaults_to_weight_one() -> None:
    history = Histories.single([3, 1])
    assert (len(history), history.weights.tolist(), history.indptr.tolist()) == (1, [1, 1], [0, 2])
