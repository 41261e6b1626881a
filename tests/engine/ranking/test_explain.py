import numpy as np
import pytest

from recommender.engine.data.interactions import Histories
from recommender.engine.ranking.explain import explain
from tests import worlds
from tests.contracts.trainer import fit

ITEMS = np.array([10, 20], np.int32)


def test_the_reason_is_the_item_of_the_same_taste() -> None:
    query = fit("als", worlds.two_groups(), {"factors": 2})
    history = Histories.single([0, 1, 2, 0], [1, 1, 1, 1])
    for reasons in explain(query, history, ITEMS):
        assert {reason.item_row for reason in reasons} <= {0, 2, 1}
        assert reasons[0].item_row in (0, 2)
        assert sum(reason.share for reason in reasons) == pytest.approx(1, abs=0.01)
        assert [reason.share for reason in reasons] == sorted((reason.share for reason in reasons), reverse=True)


def test_contributions_are_those_of_the_query_with_repeats_added_up() -> None:
    query = fit("als", worlds.two_groups(), {"factors": 2})
    history = Histories.single([0, 4, 0], [1, 2, 1])
    contributions = query.contributions(history, ITEMS)
    [first, _] = explain(query, history, ITEMS)
    found = {reason.item_row: reason.contribution for reason in first}
    assert found[0] == pytest.approx(contributions[0, 0] + contributions[2, 0])
    assert found[4] == pytest.approx(contributions[1, 0])


def test_dislikes_and_nothing_are_no_reasons() -> None:
    query = fit("als", worlds.two_groups(), {"factors": 2})
    assert explain(query, Histories.single([0, 2], [-1, -3]), ITEMS) == [[], []]
    assert explain(query, Histories.single([]), ITEMS) == [[], []]
    assert explain(query, Histories.single([0]), ITEMS[:0]) == []


def test_popularity_has_no_reasons() -> None:
    assert explain(fit("popularity", worlds.two_groups(), {}), Histories.single([0]), ITEMS) == [[], []]


def test_the_limit_is_kept() -> None:
    query = fit("als", worlds.two_groups(), {"factors": 2})
    [reasons, _] = explain(query, Histories.single([0, 2, 4, 6, 8]), ITEMS, limit=2)
    assert len(reasons) == 2
