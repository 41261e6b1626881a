from typing import Any

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories
from recommender.engine.ranking import sources
from recommender.engine.ranking.sources import SOURCES, Ranked, merge, per_category, recent


def ranked(rows: Any, scores: Any) -> Ranked:
    return np.array(rows, dtype=np.int32), np.array(scores, dtype=np.float32)


def test_each_candidate_stands_once_with_what_every_source_says() -> None:
    pool = merge({"model": ranked([7, 3, 5], [10, 4, 2]), "popular": ranked([3, 9], [100, 50])})
    assert pool.rows.tolist() == [3, 5, 7, 9]
    model, popular = SOURCES.index("model"), SOURCES.index("popular")
    assert pool.places[:, model].tolist() == [1, 2, 0, -1] and pool.places[:, popular].tolist() == [0, -1, -1, 1]
    assert pool.scores[:, model].tolist() == [0.25, 0, 1, 0] and pool.scores[:, popular].tolist() == [1, 0, 0, 0]
    others = [place for place in range(len(SOURCES)) if place not in (model, popular)]
    assert (pool.places[:, others] == -1).all() and not pool.scores[:, others].any()
    assert (pool.rows.dtype, pool.places.dtype, pool.scores.dtype) == (np.int32, np.int16, np.float32)
    some = pool.where(pool.rows > 5)
    assert some.rows.tolist() == [7, 9] and some.places[:, model].tolist() == [0, -1] and len(some) == 2


def test_against_a_plain_loop() -> None:
    random = np.random.default_rng(3)
    lists = {
        name: ranked(random.choice(40, k, replace=False), np.sort(random.normal(size=k))[::-1])
        for name, k in zip(SOURCES, random.integers(0, 20, len(SOURCES)), strict=True)
    }
    pool = merge(lists)
    assert pool.rows.tolist() == sorted({row for rows, _ in lists.values() for row in rows.tolist()})
    for at, (rows, scores) in enumerate(lists.values()):
        for line, row in enumerate(pool.rows.tolist()):
            where = np.flatnonzero(rows == row)
            assert pool.places[line, at] == (where[0] if len(where) else -1)
            span = scores.max() - scores.min() if len(where) else 0
            expected = ((scores[where[0]] - scores.min()) / span if span else 1.0) if len(where) else 0.0
            assert pool.scores[line, at] == pytest.approx(expected, abs=1e-6)


def test_alike_broken_and_empty_lists() -> None:
    assert len(merge({})) == 0 and merge({}).places.shape == (0, len(SOURCES))
    assert len(merge({"model": sources.NOTHING})) == 0
    assert merge({"new": ranked([1, 2], [3, 3])}).scores[:, SOURCES.index("new")].tolist() == [1, 1]
    broken = merge({"model": ranked([1, 2, 3], [5, np.nan, 1]), "new": ranked([1], [np.inf])})
    assert broken.scores[:, 0].tolist() == [1, 0, 0] and np.isfinite(broken.scores).all()
    with pytest.raises(KeyError):
        merge({"elsewhere": ranked([1], [1])})


def test_recent_likes_the_last_first_and_each_once() -> None:
    told = Histories.single([4, 9, 4, 6, 8], [1, 2, 3, -5, 1])
    rows, weights = recent(told, most=3, decay=0.5)
    assert rows.tolist() == [8, 4, 9] and weights.tolist() == [1, 1.5, 0.5]
    assert recent(told, most=1)[0].tolist() == [8]
    assert recent(Histories.single([6], [-1]))[0].tolist() == []


def test_neighbours_of_recent_likes_count_by_how_late_they_were_liked() -> None:
    found: dict[int, tuple[list[int], list[float]]] = {1: ([5, 6], [2.0, 1.0]), 2: ([6, 1, 7], [8.0, 8.0, 4.0])}

    def neighbours(row: int, k: int) -> Ranked:
        return ranked(*(part[:k] for part in found.get(row, ([], []))))

    told = Histories.single([1, 2, 3])
    rows, scores = sources.similar_to_recent(told, 5, sources.one_by_one(neighbours))
    # 3 has none; 2 counts .7 and 1 .49, each list from its own best; 1 is in the history.
    assert rows.tolist() == [6, 5, 7]
    assert scores.tolist() == pytest.approx([0.7 + 0.49 / 2, 0.49, 0.35])
    assert sources.similar_to_recent(told, 1, sources.one_by_one(neighbours))[0].tolist() == [6]
    assert sources.similar_to_recent(Histories.single([]), 5, sources.one_by_one(neighbours))[0].tolist() == []


def test_companions_of_recent_likes() -> None:
    rows = np.array([[1, 2], [0, -1], [0, -1], [-1, -1]], dtype=np.int32)
    scores = np.array([[9, 4], [9, 0], [4, 0], [0, 0]], dtype=np.float32)
    found, worth = sources.together_with_recent(Histories.single([0, 3]), 5, rows, scores)
    assert found.tolist() == [1, 2] and worth.tolist() == pytest.approx([0.7 * 3, 0.7 * 2])
    assert sources.together_with_recent(Histories.single([0, 1]), 5, rows, scores)[0].tolist() == [2]
    assert sources.together_with_recent(Histories.single([3]), 5, rows, scores)[0].tolist() == []


@pytest.mark.parametrize("others", [5, 50_000])
def test_among_is_set_membership_however_many(others: int) -> None:
    random = np.random.default_rng(others)
    rows, known = random.integers(0, 2 * others, 30).astype(np.int32), random.integers(0, 2 * others, others)
    assert sources.among(rows, known).tolist() == [row in set(known.tolist()) for row in rows.tolist()]


def test_the_best_of_each_category() -> None:
    scores = np.array([1, 5, 3, 5, 9, 2], dtype=np.float32)
    categories = np.array([0, 0, 0, 0, -1, 2], dtype=np.int32)
    found = {name: places.tolist() for name, places in per_category(scores, categories, 2).items()}
    assert found == {0: [1, 3], 2: [5]}
    assert per_category(scores[:0], categories[:0], 2) == {} == per_category(scores[4:5], categories[4:5], 2)
