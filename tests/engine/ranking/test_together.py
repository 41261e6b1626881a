"""Companions: planted pairs come first, and the scores are Dunning's."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.engine.data.interactions import UNKNOWN, Interactions
from recommender.engine.ranking import together
from recommender.engine.ranking.together import bought_together, log_likelihood_ratio
from tests import worlds


def baskets(*contents: list[int], items: int = 6, weights: list[float] | None = None) -> Interactions:
    rows = [item for content in contents for item in content]
    numbers = [number for number, content in enumerate(contents) for _ in content]
    return Interactions.build(
        worlds.numbered(1, "u"), worlds.numbered(items, "i"), [0] * len(rows), rows, weights, baskets=numbers
    )


def test_planted_pairs_are_each_other_s_best_companion() -> None:
    found = bought_together(worlds.planted_pairs())
    assert found.rows.shape == found.scores.shape == (60, 20)
    assert (found.rows.dtype, found.scores.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(found.rows[:20, 0], np.arange(20) ^ 1)
    assert (found.scores[:20, 0] > 5 * found.scores[:20, 1]).all()


def dunning(table: list[list[int]]) -> float:
    """2 (log L(p1) + log L(p2) - 2 log L(p)) of two binomials, as the paper writes it."""

    def likelihood(p: float, k: int, n: int) -> float:
        return (k * log(p) if k else 0) + ((n - k) * log(1 - p) if n - k else 0)

    (a, b), (c, d) = table
    n1, n2 = a + b, c + d
    p1, p2, p = a / n1, c / n2, (a + c) / (n1 + n2)
    return 2 * (likelihood(p1, a, n1) + likelihood(p2, c, n2) - likelihood(p, a, n1) - likelihood(p, c, n2))


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_the_ratio_is_the_paper_s(a: int, b: int, c: int, d: int) -> None:
    if not (a + b and c + d and a + c and b + d):
        return
    [ratio] = log_likelihood_ratio(np.array([a]), np.array([a + b]), np.array([a + c]), a + b + c + d)
    assert ratio == pytest.approx(max(dunning([[a, b], [c, d]]), 0), rel=1e-4, abs=1e-4)


def test_meeting_once_is_an_accident_and_avoiding_is_no_company() -> None:
    assert (bought_together(baskets([0, 1], [2, 3], [4])).rows == UNKNOWN).all()
    # 0 and 1 share two baskets, but so popular are both that chance would make it three.
    apart = baskets([0, 1], [0, 1], [0], [0], [0], [1], [1], [1], [2])
    assert (bought_together(apart).rows[0] == UNKNOWN).all()


def test_a_basket_counts_an_item_once_and_dislikes_never() -> None:
    assert (bought_together(baskets([0, 0, 1, 1], [2], [3])).rows == UNKNOWN).all()
    disliked = baskets([0, 1], [0, 1], [2], [3], weights=[1, -1, 1, -1, 1, 1])
    assert (bought_together(disliked).rows == UNKNOWN).all()


def test_lists_are_cut_and_ordered_with_ties_by_row() -> None:
    found = bought_together(baskets([0, 1, 2, 3], [0, 1, 2, 3], [4], [5]), k=2)
    assert found.rows[0].tolist() == [1, 2]
    assert found.rows[3].tolist() == [0, 1]
    assert found.rows[4].tolist() == [UNKNOWN, UNKNOWN]
    assert found.scores[4].tolist() == [0, 0]


def test_users_stand_for_baskets_where_there_are_none() -> None:
    data = Interactions.build(worlds.numbered(4, "u"), worlds.numbered(4, "i"), [0, 0, 1, 1, 2, 3], [0, 1, 0, 1, 2, 3])
    assert bought_together(data).rows[0, 0] == 1


def test_stock_orders_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MAX_BASKET", 3)
    found = bought_together(baskets([0, 1], [0, 1], [2, 3, 4, 5], [2, 3, 4, 5]))
    assert found.rows[0].tolist()[0] == UNKNOWN  # in every basket that was counted: no more than chance
    assert (found.rows[2] == UNKNOWN).all()


@pytest.mark.parametrize("pairs", [1, 100, 5000])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    data = worlds.planted_pairs()
    whole = bought_together(data)
    monkeypatch.setattr(together, "BLOCK_PAIRS", pairs)
    blocked = bought_together(data)
    np.testing.assert_array_equal(blocked.rows, whole.rows)
    np.testing.assert_array_equal(blocked.scores, whole.scores)


def test_nothing_bought_gives_no_companions() -> None:
    found = bought_together(worlds.nothing())
    assert (found.rows == UNKNOWN).all()
    assert found.rows.shape == (4, 20)
