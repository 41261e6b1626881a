"""Metrics against figures worked out by hand, and against the formulas written as loops."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.engine.metrics import PER_USER, coverage, gini, novelty

# Two users, five places. The first has 3 test items, found at places 1 and 4; the second has 7, found at place 2.
HITS = np.array([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]], dtype=bool)
RELEVANT = np.array([3, 7])
BY_HAND = {
    ("recall", 5): [2 / 3, 1 / 7],
    ("recall", 2): [1 / 3, 1 / 7],
    ("hit_rate", 5): [1, 1],
    ("hit_rate", 1): [1, 0],
    ("mrr", 5): [1, 1 / 2],
    ("mrr", 1): [1, 0],
    # DCG 1 + 1 / log2 5 over 1 + 1 / log2 3 + 1 / 2, and 1 / log2 3 over the five best places.
    ("ndcg", 5): [1.4306765580733931 / 2.1309297535714578, 0.6309297535714575 / 2.9484591188793923],
    ("ndcg", 1): [1, 0],
    ("map", 5): [(1 + 2 / 4) / 3, (1 / 2) / 5],
    ("map", 2): [1 / 2, (1 / 2) / 2],
}


@pytest.mark.parametrize(("name", "k"), BY_HAND)
def test_by_hand(name: str, k: int) -> None:
    np.testing.assert_allclose(PER_USER[name](HITS, RELEVANT, k), BY_HAND[name, k], rtol=1e-12)


def looped(name: str, hits: list[bool], relevant: int, k: int) -> float:
    found = hits[:k]
    match name:
        case "recall":
            return sum(found) / relevant
        case "hit_rate":
            return float(any(found))
        case "mrr":
            return next((1 / place for place, hit in enumerate(found, 1) if hit), 0.0)
        case "ndcg":
            gained = sum(1 / log2(place + 1) for place, hit in enumerate(found, 1) if hit)
            return gained / sum(1 / log2(place + 1) for place in range(1, min(relevant, k) + 1))
        case "map":
            return sum(sum(found[:place]) / place for place, hit in enumerate(found, 1) if hit) / min(relevant, k)
    raise AssertionError(name)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 9), st.integers(1, 15))
def test_every_metric_is_its_formula_and_within_0_and_1(hits: list[bool], more: int, k: int) -> None:
    relevant = max(1, sum(hits) + more)
    for name, metric in PER_USER.items():
        [value] = metric(np.array([hits]), np.array([relevant]), k)
        assert value == pytest.approx(looped(name, hits, relevant, k))
        assert 0 <= value <= 1 + 1e-12


@pytest.mark.parametrize("name", PER_USER)
def test_a_perfect_list_scores_1(name: str) -> None:
    assert PER_USER[name](np.array([[True, True, False]]), np.array([2]), 3) == pytest.approx(1)


def test_coverage_is_the_share_of_items_shown() -> None:
    assert coverage(np.array([3, 0, 1, 0])) == 0.5


def test_novelty_is_the_mean_surprise_in_bits() -> None:
    known = np.array([8, 2, 0, 1])  # of 8 users: 0, 2, 3 (as if one had it) and 3 bits
    assert novelty(np.array([1, 1, 0, 0]), known, 8) == 1
    assert novelty(np.array([0, 2, 1, 1]), known, 8) == (2 * 2 + 3 + 3) / 4
    assert novelty(np.zeros(4, int), known, 8) == 0


def test_gini_is_0_for_equal_exposure_and_near_1_for_one_item() -> None:
    assert gini(np.array([5, 5, 5])) == pytest.approx(0)
    assert gini(np.array([0] * 99 + [7])) == pytest.approx(0.99)
    assert gini(np.zeros(3, int)) == 0


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_gini_is_half_the_relative_mean_difference(shown: list[int]) -> None:
    if not sum(shown):
        return
    pairs = sum(abs(a - b) for a in shown for b in shown)
    assert gini(np.array(shown)) == pytest.approx(pairs / (2 * len(shown) * sum(shown)))
