from typing import Any

import numpy as np
import pytest

from recommender.engine.data.interactions import Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.evaluation import pools as module
from recommender.engine.evaluation.pools import Segments, pools
from recommender.engine.ranking import sources
from recommender.engine.ranking.sources import SOURCES, Pool
from recommender.engine.ranking.together import bought_together
from tests import worlds
from tests.contracts.trainer import fit

DEPTHS = dict.fromkeys(SOURCES, 6)


def listed(pool: Pool, name: str) -> list[int]:
    """What a source named, best first."""
    place = pool.places[:, SOURCES.index(name)]
    named = np.flatnonzero(place >= 0)
    return [int(row) for row in pool.rows[named][np.argsort(place[named])]]


@pytest.fixture(scope="module")
def data() -> Interactions:
    return worlds.two_groups()


def made(data: Interactions, query: Any, users: Any, **terms: Any) -> list[Pool]:
    return pools(query, data, np.asarray(users, dtype=np.int32), depths=DEPTHS, **terms)


@pytest.mark.parametrize("name", ["als", "item_knn", "popularity"])
def test_lists_are_those_of_one_user_at_a_time(data: Interactions, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = fit(name, data, {"factors": 4} if name == "als" else {})
    companions = bought_together(data, 8)
    found = made(data, query, [3, 10, 11], companions=companions)
    monkeypatch.setattr(module, "BATCH_CELLS", 1)
    for one, pool in zip(made(data, query, [3, 10, 11], companions=companions), found, strict=True):
        assert np.array_equal(one.rows, pool.rows) and np.array_equal(one.places, pool.places), "however many at once"
    for user, pool in zip((3, 10, 11), found, strict=True):
        told = data.histories([user])
        assert not np.isin(pool.rows, told.item_rows).any(), "nothing that they have"
        scores = np.array(query.scores(told)[0])
        scores[told.item_rows] = -np.inf
        assert listed(pool, "model") == np.argsort(-scores, kind="stable")[:6].tolist()
        together = sources.together_with_recent(told, 6, companions.rows, companions.scores)
        assert listed(pool, "together") == together[0].tolist()
        if name == "als":
            units = unit(query.item_vectors)

            def nearest(rows: Any, k: int, units: Any = units) -> Any:
                cosines = units[rows] @ units.T
                order = np.argsort(-cosines, axis=1, kind="stable")[:, :k].astype(np.int32)
                return order, np.take_along_axis(cosines, order, 1)

            assert listed(pool, "similar") == sources.similar_to_recent(told, 6, nearest)[0].tolist()
        elif name == "item_knn":
            beside = sources.one_by_one(query.neighbours)
            assert listed(pool, "similar") == sources.similar_to_recent(told, 6, beside)[0].tolist()
        else:
            assert listed(pool, "similar") == []


def test_everybody_is_offered_what_is_popular_trending_and_new(data: Interactions) -> None:
    [pool] = made(data, fit("popularity", data, {}), [0])
    takers = np.bincount(data.matrix.indices, minlength=40)
    own = data.histories([0]).item_rows
    popular = [int(row) for row in np.argsort(-takers, kind="stable") if row not in own][:6]
    assert listed(pool, "popular") == popular
    first = np.array([data.times[data.item_rows == row].min() for row in range(40)])
    assert listed(pool, "new") == [int(row) for row in np.argsort(-first, kind="stable") if row not in own][:6]
    assert len(listed(pool, "trending")) == 6 and listed(pool, "cluster") == listed(pool, "content") == []


def test_what_was_added_last_may_be_told(data: Interactions) -> None:
    own = data.histories([0]).item_rows
    newest = np.array([7, own[0], 3], np.int32)
    [pool] = made(data, fit("popularity", data, {}), [0], newest=newest)
    assert listed(pool, "new") == [7, 3]


def test_without_times_nothing_is_new_or_trending() -> None:
    data = worlds.two_groups()
    still = Interactions.build(data.users, data.items, data.user_rows, data.item_rows, times=np.zeros(len(data)))
    [pool] = made(still, fit("popularity", still, {}), [0])
    assert listed(pool, "popular") and listed(pool, "new") == listed(pool, "trending") == []


def test_shoppers_alike_and_what_says_the_same(data: Interactions) -> None:
    query = fit("als", data, {"factors": 2})
    contents = np.eye(2, dtype=np.float32)[np.arange(40) % 2]
    contents[8] = 0  # says nothing
    segments = Segments.of(data, unit(query.item_vectors), 0, 1_000)
    for user, pool in zip((2, 5), made(data, query, [2, 5], segments=segments, contents=contents), strict=True):
        for name in ("cluster", "content"):
            assert listed(pool, name) and {row % 2 for row in listed(pool, name)} == {user % 2}
        assert 8 not in listed(pool, "content")


def test_nobody_asks_for_nothing(data: Interactions) -> None:
    assert made(data, fit("popularity", data, {}), []) == []
