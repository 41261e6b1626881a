from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import (
    hold_out,
    hold_out_last,
    leave_one_out,
    random_split,
    share_split,
    time_split,
    without_known_pairs,
)
from tests import worlds


def pairs(data: Interactions) -> list[tuple[int, int]]:
    return list(zip(data.user_rows.tolist(), data.item_rows.tolist(), strict=True))


@pytest.fixture
def data() -> Interactions:
    return Interactions.build(
        worlds.numbered(2, "u"),
        worlds.numbered(5, "i"),
        [0, 0, 0, 0, 0, 1],
        [0, 1, 0, 2, 3, 4],
        [1, 1, 1, 1, -1, 1],
        [10, 20, 30, 40, 50, 60],
    )


def test_the_past_teaches_and_only_new_likes_test(data: Interactions) -> None:
    train, test = time_split(data, 30)
    assert pairs(train) == [(0, 0), (0, 1)]
    assert pairs(test) == [(0, 2), (1, 4)]
    assert pairs(time_split(data, 30, only_new=False)[1]) == [(0, 0), (0, 2), (1, 4)]


def test_no_event_of_the_future_teaches() -> None:
    data = Interactions.build(
        worlds.numbered(50, "u"), worlds.numbered(30, "i"), *np.random.default_rng(0).integers(0, 30, (2, 500)),
        times=np.random.default_rng(1).integers(0, 1000, 500),
    )  # fmt: skip
    train, test, at = share_split(data, 0.2)
    assert train.times.max() < at <= test.times.min()
    assert 0.75 < len(train) / len(data) < 0.85
    assert not set(pairs(train)) & set(pairs(test))


def test_splitting_nothing() -> None:
    train, test, _ = share_split(worlds.nothing(), 0.2)
    assert (len(train), len(test)) == (0, 0)
    assert [len(part) for part in leave_one_out(worlds.nothing())] == [0, 0]
    assert [len(part) for part in random_split(worlds.nothing(), 0.2, 1)] == [0, 0]


def test_leaving_one_out_takes_the_last_and_spares_the_only(data: Interactions) -> None:
    train, test = leave_one_out(data)
    assert pairs(test) == [(0, 3)]
    assert pairs(train) == [(0, 0), (0, 1), (0, 0), (0, 2), (1, 4)]


def test_known_pairs_are_no_discoveries(data: Interactions) -> None:
    assert pairs(without_known_pairs(data, data.where(data.item_rows == 0))) == [(0, 1), (0, 2), (0, 3), (1, 4)]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9, 1.0])
def test_a_random_part_of_each_user_s_items_is_held_back(share: float) -> None:
    data = worlds.long_tail()
    train, test = random_split(data, share, seed=4)
    assert len(train) + len(test) == len(data)
    assert not set(pairs(train)) & set(pairs(test))
    had, held = (np.diff(part.matrix.indptr) for part in (data, test))
    np.testing.assert_array_equal(held, np.minimum(np.round(share * had), had - 1))


def test_a_random_part_is_decided_by_its_seed() -> None:
    data = worlds.long_tail()
    first, again, other = (pairs(random_split(data, 0.2, seed)[1]) for seed in (1, 1, 2))
    assert first == again != other


def test_hold_out_last_takes_one_new_liked_event_of_each_user() -> None:
    data = worlds.two_groups()
    rest, held = hold_out_last(data, 20, seed=1)
    assert 0 < len(held) <= 20
    assert len(np.unique(held.user_rows)) == len(held)
    for user, item in zip(held.user_rows, held.item_rows, strict=True):
        assert item == data.item_rows[data.indptr[user + 1] - 1]
        assert item not in rest.item_rows[rest.user_rows == user]


def test_hold_out_last_takes_random_events_where_times_say_nothing() -> None:
    data = replace(worlds.two_groups(), times=np.zeros(480, np.int64))
    _, held = hold_out_last(data, 60, seed=1)
    assert not np.isin(held.item_rows, data.item_rows[data.indptr[1:] - 1]).all()


def test_hold_out_last_leaves_users_of_one_event_alone() -> None:
    rest, held = hold_out_last(worlds.one_item(), 10, seed=1)
    assert (len(rest), len(held)) == (5, 0)


def test_hold_out_goes_by_time_where_there_is_one() -> None:
    data = worlds.two_groups()
    train, held = hold_out(data, 0.2, seed=1)
    assert train.times.max() < held.times.min()
    train, held = hold_out(replace(data, times=np.zeros(480, np.int64)), 0.2, seed=1)
    assert len(np.unique(train.user_rows)) == 60
    assert len(held) > 48
