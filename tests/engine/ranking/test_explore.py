from collections import Counter

import numpy as np
import pytest

from recommender.engine.ranking.explore import WIDTH, explore, softmax

ORDER = np.array([4, 2, 7, 1, 0, 9, 3], dtype=np.int64)
SCORES = np.linspace(1, 0.1, 10).astype(np.float32)


def test_the_chances_told_are_those_of_what_is_done() -> None:
    draws, random = 20_000, np.random.default_rng(1)
    drawn: dict[int, Counter[int]] = {}
    told: dict[int, dict[int, float]] = {}
    for _ in range(draws):
        page, place, chances = explore(ORDER, SCORES, 4, random)
        assert place is not None and page[place - 1] in chances
        drawn.setdefault(place, Counter())[int(page[place - 1])] += 1
        assert told.setdefault(place, chances) == chances
    assert set(drawn) == {3, 4}, "the lower half"
    for place, counted in drawn.items():
        n = sum(counted.values())
        assert n / draws == pytest.approx(0.5, abs=0.02)
        assert set(told[place]) == {int(ORDER[place - 1]), 0, 9, 3}
        assert sum(told[place].values()) == pytest.approx(1)
        for index, chance in told[place].items():
            assert counted[index] / n == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / n) + 1e-4)


def test_all_but_one_place_stay_and_nothing_stands_twice() -> None:
    for seed in range(50):
        page, place, _ = explore(ORDER, SCORES, 4, np.random.default_rng(seed))
        assert place is not None and len(set(page.tolist())) == 4
        assert np.flatnonzero(page != ORDER[:4]).tolist() in ([], [place - 1])
    assert ORDER.tolist() == [4, 2, 7, 1, 0, 9, 3], "the caller's order is not changed"


def test_the_same_seed_gives_the_same_answer() -> None:
    first, again = (explore(ORDER, SCORES, 4, np.random.default_rng(5)) for _ in range(2))
    assert first[0].tolist() == again[0].tolist() and first[1:] == again[1:]


def test_where_nothing_can_be_drawn_the_page_stays() -> None:
    for order, n in ((ORDER[:4], 4), (ORDER[:2], 4), (ORDER, 1), (ORDER[:0], 4)):
        page, place, chances = explore(order, SCORES, n, np.random.default_rng(0))
        assert page.tolist() == order[:n].tolist() and place is None and chances == {}
    assert explore(ORDER, SCORES, 4, np.random.default_rng(0), fixed={3, 4})[1] is None


def test_pins_stay() -> None:
    assert {explore(ORDER, SCORES, 4, np.random.default_rng(seed), fixed={4})[1] for seed in range(30)} == {3}


def test_better_candidates_are_likelier_and_far_ones_are_left_out() -> None:
    chances = softmax(SCORES)
    assert (np.diff(chances) < 0).all() and chances.sum() == pytest.approx(1) and chances.min() > 0
    assert softmax(np.full(4, 2.0, np.float32)).tolist() == [0.25] * 4
    many = np.arange(100, dtype=np.int64)
    _, _, told = explore(many, np.linspace(1, 0, 100).astype(np.float32), 10, np.random.default_rng(0))
    assert len(told) == WIDTH + 1 and max(told) == 9 + WIDTH
