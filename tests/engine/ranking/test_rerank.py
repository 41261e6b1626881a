from typing import Any

import numpy as np
import pytest

from recommender.engine.ranking.rerank import rerank

SCORES = np.array([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], np.float32)
NONE = np.full(8, -1, np.int32)


def groups(*labels: int) -> Any:
    return np.array(labels, np.int32)


def mask(*places: int) -> Any:
    return np.isin(np.arange(8), places)


def shown(n: int, **terms: Any) -> list[int]:
    return [int(place) for place in rerank(SCORES, n, **{"balance": 1.0, **terms})]


def test_without_terms_the_best_in_order() -> None:
    assert shown(3) == [0, 1, 2] and shown(20) == list(range(8)) and shown(0) == []
    assert rerank(SCORES[:0], 3).tolist() == []
    assert rerank(np.ones(4, np.float32), 2).tolist() == [0, 1]


def test_of_one_kind_no_more_than_its_share() -> None:
    same = groups(0, 0, 0, 0, 1, 1, -1, -1)
    assert shown(4, categories=same, per_category=0.5) == [0, 1, 4, 5]
    assert shown(6, creators=same, per_creator=1 / 3) == [0, 1, 4, 5, 6, 7]
    assert shown(4, causes=same, one_event=0.3) == [0, 4, 6, 7], "always one"
    assert shown(4, new=mask(0, 1, 2), newcomers=0.25) == [0, 3, 4, 5]
    assert shown(4, new=mask(0, 1, 2), newcomers=0.2) == [3, 4, 5, 6], "less than one place"
    assert shown(4, categories=same, per_category=1.0) == [0, 1, 2, 3]


def test_caps_give_way_where_nothing_else_is_left_the_least_harmful_first() -> None:
    one_event, one_category = groups(7, 7, 7, 7, -1, -1, -1, -1), groups(-1, -1, -1, -1, 5, 5, 5, 5)
    # After one of each, all are beyond a cap: one category is less harm than one event.
    assert shown(6, causes=one_event, one_event=0.1, categories=one_category, per_category=0.1) == [0, 4, 5, 6, 7, 1]
    everything = groups(*[3] * 8)
    assert shown(8, creators=everything, per_creator=0.1) == list(range(8))
    assert shown(3, new=np.ones(8, np.bool_), newcomers=0.0) == [0, 1, 2]
    # Newcomers come before a second of one event, after a second of one creator.
    terms = {"causes": one_event, "one_event": 0.1, "new": mask(4, 5), "newcomers": 0.0}
    makers = groups(-1, -1, -1, -1, -1, -1, 2, 2)
    assert shown(8, **terms, creators=makers, per_creator=0.1) == [0, 6, 7, 4, 5, 1, 2, 3]


def test_worth_keeps_what_is_far_better_than_all_within_the_caps() -> None:
    scores = np.array([1, 0.95, 0.9, 0.2, 0.1], np.float32)
    same = groups(0, 0, 0, -1, -1)
    terms: dict[str, Any] = {"balance": 1.0, "categories": same, "per_category": 1 / 3}
    assert rerank(scores, 3, **terms).tolist() == [0, 3, 4]
    assert rerank(scores, 3, **terms, worth=0.5).tolist() == [0, 1, 2]


def test_what_is_excluded_and_limits_never_give_way() -> None:
    assert shown(8, excluded=mask(0, 3)) == [1, 2, 4, 5, 6, 7]
    assert shown(8, limits=[(mask(0, 1, 2, 3), 1), (mask(3, 4), 0)]) == [0, 5, 6, 7]
    assert shown(8, excluded=np.ones(8, np.bool_)) == []


def test_pins_stand_where_they_are_told_and_count() -> None:
    assert shown(3, pins={1: 7, 3: 5}) == [7, 0, 5]
    assert shown(3, pins={1: 0, 2: 0, 9: 4}) == [0, 1, 2], "nothing stands twice, or beyond the page"
    assert shown(3, pins={2: 6}, excluded=mask(6)) == [0, 1, 2]
    assert shown(3, pins={3: 2}, limits=[(mask(0, 1, 2), 1)]) == [3, 4, 2], "a pin takes the only place of its limit"
    assert shown(3, pins={1: 0, 2: 1}, limits=[(mask(0, 1, 2), 1)]) == [0, 1, 3], "but stands beyond it"
    assert shown(3, pins={3: 1}, creators=groups(0, 0, 1, 2, 3, 4, 5, 6), per_creator=0.3) == [2, 3, 1]
    assert rerank(SCORES[:2], 5, pins={4: 0}).tolist() == [1, 0], "fewer than would come before it"


def test_what_is_like_a_pin_comes_later() -> None:
    vectors = np.eye(8, dtype=np.float32)
    vectors[0] = vectors[7]
    assert shown(3, vectors=vectors, balance=0.5, pins={3: 7}) == [1, 2, 7]


def test_extra_ones_follow_the_page_within_its_caps() -> None:
    same = groups(0, 0, 0, 0, 0, -1, -1, -1)
    terms: dict[str, Any] = {"categories": same, "per_category": 0.5, "limits": [(mask(5, 6, 7), 2)]}
    assert shown(2, **terms, extra=4) == [0, 5, 6]
    assert shown(2, extra=4) == [0, 1, 2, 3, 4, 5]


def test_excluded_scores_do_not_change_what_is_relevant() -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    scores = SCORES.copy()
    scores[0] = 1_000
    left = rerank(scores[1:], 4, vectors=vectors[1:], balance=0.6) + 1
    assert rerank(scores, 4, vectors=vectors, balance=0.6, excluded=mask(0)).tolist() == left.tolist()
    assert scores[0] == 1_000


@pytest.mark.parametrize("seed", range(6))
def test_against_a_plain_loop(seed: int) -> None:
    """Greedy by hand: the least harm, then the largest gain."""
    random = np.random.default_rng(seed)
    count, n, balance = 40, 12, 0.7
    scores = random.random(count).astype(np.float32)
    vectors = random.normal(size=(count, 5)).astype(np.float32)
    kinds = [random.integers(-1, 4, count).astype(np.int32) for _ in range(3)]
    new, out = random.random(count) < 0.2, random.random(count) < 0.2
    most = [max(1, round(0.4 * n)), max(1, round(0.2 * n)), int(0.15 * n), max(1, int(0.3 * n))]
    labels = [kinds[0], kinds[1], np.where(new, 0, -1), kinds[2]]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    low, high = scores[~out].min(), scores[~out].max()
    taken: list[int] = []
    while len(taken) < n:

        def worth(place: int) -> tuple[float, float]:
            harm = sum(
                2**kind
                for kind, own in enumerate(labels)
                if own[place] >= 0 and sum(own[other] == own[place] for other in taken) >= most[kind]
            )
            near = max((float(units[place] @ units[other]) for other in taken), default=0.0)
            return -harm, balance * (scores[place] - low) / (high - low) - (1 - balance) * near

        taken.append(max((place for place in range(count) if not out[place] and place not in taken), key=worth))
    found = rerank(
        scores, n, vectors=vectors, categories=kinds[0], creators=kinds[1], new=new, causes=kinds[2], balance=balance,
        per_category=0.4, per_creator=0.2, newcomers=0.15, one_event=0.3, excluded=out,
    )  # fmt: skip
    assert found.tolist() == taken


def test_a_balance_beyond_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="balance"):
        rerank(SCORES, 3, balance=1.1)
