import numpy as np
import pytest

from recommender.engine.ranking.trends import DAY_S, trending

NOW = 1_000 * DAY_S + DAY_S // 2


def scored(rows: list[tuple[int, int, int, float, float]], half_life_days: float = 2.0) -> list[float]:
    """Of (item, visitor, kind, weight, age in days)."""
    items, visitors, kinds, weights, ages = (np.array(column) for column in zip(*rows, strict=True))
    times = (NOW - ages * DAY_S).astype(np.int64)
    found = trending(items, visitors, kinds, weights.astype(np.float32), times, NOW, 4, half_life_days)
    return [float(score) for score in found]


def test_events_count_half_after_the_half_life() -> None:
    assert scored([(0, 1, 0, 1, 0), (1, 1, 0, 1, 2), (2, 1, 0, 4, 4)]) == pytest.approx([1, 0.5, 1, 0])


def test_one_visitor_counts_once_a_day_for_each_kind() -> None:
    many = [(0, 1, 0, 1.0, hours / 24) for hours in range(10)]  # all on one day
    assert scored(many) == pytest.approx([1, 0, 0, 0]), "the latest of them"
    assert scored([(0, 1, 0, 1, 0), (0, 1, 1, 1, 0)])[0] == pytest.approx(2)
    assert scored([(0, 1, 0, 1, 0), (0, 2, 0, 1, 0)])[0] == pytest.approx(2)
    assert scored([(0, 1, 0, 1, 0), (0, 1, 0, 1, 2)])[0] == pytest.approx(1.5)


def test_what_speaks_against_and_what_is_yet_to_come_count_nothing() -> None:
    assert scored([(0, 1, 0, -5, 0), (1, 1, 0, 1, -1), (2, 1, 0, 0, 0)]) == [0, 0, 0, 0]
    nothing = np.zeros(0, np.int64)
    assert trending(nothing, nothing, nothing, nothing.astype(np.float32), nothing, NOW, 2).tolist() == [0, 0]
