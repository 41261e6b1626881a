from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.learning import held
from recommender.engine.learning.held import Held, fingerprint, hold
from recommender.engine.metrics import ndcg
from recommender.engine.options import Options
from recommender.engine.trainers.popularity import PopularityConfig
from tests import worlds


@pytest.mark.parametrize("batch_users", [1, 7, 1000])
def test_it_is_the_ndcg_of_everyone_s_list_of_new_items(monkeypatch: pytest.MonkeyPatch, batch_users: int) -> None:
    monkeypatch.setattr(held, "BATCH_BYTES", batch_users * 4 * 40)
    data = worlds.two_groups()
    known, wanted = data.where(np.arange(len(data)) % 3 > 0), data.where(np.arange(len(data)) % 3 == 0)
    scores = np.random.default_rng(1).random((60, 40), dtype=np.float32)
    asked: list[int] = []

    def score(histories: Histories) -> np.ndarray:
        users = [user for user in range(60) if any(np.array_equal(known.histories([user]).times, own[2])
                 for own in histories)]  # fmt: skip
        asked.extend(users)
        return scores[users]

    expected = []
    for user in range(60):
        have = set(known.histories([user]).item_rows)
        want = set(wanted.histories([user]).item_rows) - have
        best = [row for row in np.argsort(-scores[user]) if row not in have][:10]
        if want:
            expected.append(ndcg(np.array([[row in want for row in best]]), np.array([len(want)]), 10)[0])
    beats: list[int] = []
    found = Held.of(known, wanted, seed=0).ndcg(score, lambda: beats.append(1))
    assert found == pytest.approx(np.mean(expected))
    assert 0 < found < 1
    assert len(asked) == len(expected)
    assert len(beats) == -(-len(asked) // batch_users)


def test_equal_scores_rank_by_row_and_nan_last() -> None:
    users, items = worlds.numbered(1, "u"), worlds.numbered(4, "i")
    known = Interactions.build(users, items, [0], [0])
    for wanted, place in ((1, 1), (2, 2), (3, 3)):
        judge = Held.of(known, Interactions.build(users, items, [0], [wanted]), seed=0)
        assert judge.ndcg(lambda _: np.ones((1, 4), np.float32)) == pytest.approx(1 / np.log2(place + 1))
        bad = np.where(np.arange(4) == wanted, np.nan, 1).astype(np.float32)[None]
        assert judge.ndcg(lambda _, bad=bad: bad) == pytest.approx(1 / np.log2(4 + 1))  # type: ignore[misc]


def test_who_wants_nothing_new_or_has_no_history_is_not_asked() -> None:
    users, items = worlds.numbered(4, "u"), worlds.numbered(5, "i")
    known = Interactions.build(users, items, [0, 1, 2], [0, 1, 2])
    wanted = Interactions.build(users, items, [0, 1, 2, 3], [1, 1, 3, 4], [1, 1, -1, 1])
    assert Held.of(known, wanted, seed=0).user_rows.tolist() == [0]


def test_the_number_of_users_is_bounded_and_drawn_by_the_seed() -> None:
    data = worlds.two_groups(users=200)
    known, wanted = data.where(data.times % 2 == 0), data.where(data.times % 2 == 1)
    first, second, third = (Held.of(known, wanted, seed, users=50).user_rows for seed in (1, 1, 2))
    assert len(first) == 50
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_some_events_are_cut_where_none_were_given() -> None:
    data = worlds.two_groups(users=200)
    train, cut = hold(data, Options())
    assert cut is not None
    assert held.FEWEST <= len(cut) <= 200 // 5
    assert len(train) == len(data) - 200 // 5
    given = data.where(data.times % 8 == 7)
    rest = data.where(data.times % 8 != 7)
    whole, own = hold(rest, Options(held=given))
    assert whole is rest
    assert own is not None
    assert own.wanted.user_rows.size > 0


def test_where_hardly_anybody_can_spare_an_event_nothing_is_held() -> None:
    for data in (worlds.one_item(), worlds.single_user(), worlds.two_groups()):
        train, cut = hold(data, Options())
        assert cut is None
        assert len(train) == len(data)


def test_a_fingerprint_tells_fits_apart() -> None:
    data = worlds.two_groups()
    heavier = replace(data, weights=data.weights * 2)
    featured = replace(data, item_features=np.ones((40, 2), np.float32))
    prints = [
        fingerprint("a", PopularityConfig(), data, Options()),
        fingerprint("b", PopularityConfig(), data, Options()),
        fingerprint("a", PopularityConfig(), data, Options(seed=1)),
        fingerprint("a", PopularityConfig(), heavier, Options()),
        fingerprint("a", PopularityConfig(), featured, Options()),
        fingerprint("a", PopularityConfig(), data, Options(held=data)),
    ]
    assert all(a != b for place, a in enumerate(prints) for b in prints[:place])
    assert prints[0] == fingerprint("a", PopularityConfig(), worlds.two_groups(), Options(threads=2))
