import numpy as np
import pytest

from recommender.engine.errors import InvalidConfig
from recommender.engine.ranking.fuse import fuse, scaled

WORDS = (["a", "b", "c"], np.array([10.0, 5.0, 0.0]))
MEANING = (["c", "d"], np.array([0.9, 0.3]))


def test_convex_adds_scaled_scores():
    found = dict(fuse([WORDS, MEANING], [0.6, 0.4], floors=[0.0, 0.0]))
    assert found == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.4, "d": 0.4 / 3})


def test_a_floor_is_the_least_of_the_list_where_none_is_given():
    assert dict(fuse([MEANING], [1.0])) == {"c": 1.0, "d": 0.0}


def test_reciprocal_looks_at_places_alone():
    found = dict(fuse([WORDS, MEANING], [1, 2], method="reciprocal", rank_constant=60))
    assert found == pytest.approx({"a": 1 / 61, "b": 1 / 62, "c": 1 / 63 + 2 / 61, "d": 2 / 62})


@pytest.mark.parametrize("method", ["convex", "reciprocal"])
def test_best_first_and_one_list_keeps_its_order(method):
    found = fuse([WORDS, MEANING], [0.5, 0.5], method=method)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert [thing for thing, _ in fuse([WORDS], [1.0], method=method)] == WORDS[0]


@pytest.mark.parametrize("method", ["convex", "reciprocal"])
def test_a_weight_of_nothing_is_as_if_the_list_said_nothing(method):
    found = [thing for thing, score in fuse([WORDS, MEANING], [1, 0], method=method) if score > 0]
    assert found == [thing for thing, score in fuse([WORDS], [1], method=method) if score > 0]


def test_units_of_scores_do_not_matter():
    larger = (WORDS[0], WORDS[1] * 1000)
    assert fuse([WORDS, MEANING], [0.6, 0.4]) == fuse([larger, MEANING], [0.6, 0.4])


def test_ends():
    assert fuse([], []) == []
    assert fuse([([], np.zeros(0)), MEANING], [1, 1])[0][0] == "c"
    assert scaled(np.array([2.0, 2.0])).tolist() == [1, 1]
    assert scaled(np.array([-1.0, 2.0]), floor=0.0).tolist() == [0, 1]


def test_refusals():
    with pytest.raises(InvalidConfig):
        fuse([WORDS], [1], method="sum")
    with pytest.raises(InvalidConfig):
        fuse([WORDS], [1, 2])
