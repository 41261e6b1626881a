from typing import Any

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories
from recommender.engine.ranking.explain import causes, explain, shares
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


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("als", {"factors": 2}), ("ease", {}), ("item_knn", {}), ("spectral", {}), ("bpr", {"factors": 4}),
        ("item2vec", {"factors": 4, "epochs": 2}), ("lmf", {"factors": 4}),
    ],
)  # fmt: skip
def test_shares_are_the_parts_of_the_score_that_speaks_for_an_item(name: str, config: dict[str, Any]) -> None:
    query = fit(name, worlds.two_groups(), config)
    history = Histories.single([0, 4, 2, 0, 7], [1, 3, 1, 2, 1])
    contributions = query.contributions(history, ITEMS)
    np.testing.assert_allclose(contributions.sum(axis=0), query.scores(history)[0, ITEMS], rtol=1e-3, atol=1e-5)
    for column, found in enumerate(shares(query, history, ITEMS)):
        own = {row: contributions[history.item_rows == row, column].sum() for row in (0, 2, 4, 7)}
        total = sum(max(value, 0) for value in own.values())
        assert dict(found) == pytest.approx({row: value / total for row, value in own.items() if value > 0}, abs=1e-4)
        assert sum(share for _, share in found) == pytest.approx(1 if found else 0, abs=1e-5)
        assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)


class Fixed:
    def __init__(self, contributions: Any) -> None:
        self.rows = np.asarray(contributions, dtype=np.float32)

    def contributions(self, histories: Histories, item_rows: Any) -> Any:
        return self.rows[:, : len(item_rows)]


def test_a_cause_brings_half_of_the_score_or_more() -> None:
    query = Fixed([[1, 3, 1, 0], [1, 2, 1, 0], [1, -4, 1.5, -1]])
    told = Histories.single([7, 5, 7])  # 7 brings 2 of 3, -1 (and 5 all), 2.5 of 3.5, nothing
    assert causes(query, told, np.arange(4, dtype=np.int32)).tolist() == [7, 5, 7, -1]
    assert causes(query, told, np.arange(1, dtype=np.int32), least=0.7).tolist() == [-1]
    assert causes(Fixed(np.zeros((0, 4))), Histories.single([]), ITEMS).tolist() == [-1, -1]
