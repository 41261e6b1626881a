import numpy as np
import pytest

from recommender.engine.ranking.diversify import diversify

SCORES = np.array([5, 4, 3, 2, 1], np.float32)
# Two directions: 0, 1, 2 point one way, 3 and 4 the other.
VECTORS = np.array([[1, 0], [2, 0], [3, 0.0], [0, 1], [0, 5]], np.float32)


def test_balance_1_keeps_the_order() -> None:
    assert diversify(SCORES, 5, balance=1, vectors=VECTORS).tolist() == [0, 1, 2, 3, 4]


def test_balance_0_takes_what_is_least_alike() -> None:
    assert diversify(SCORES, 2, balance=0, vectors=VECTORS).tolist() == [0, 3]


def test_by_hand() -> None:
    """relevance 1, .75, .5, .25, 0; after 0, items 1 and 2 cost .5 each: .375 - .5 < .25 - .5 < .125."""
    assert diversify(SCORES, 4, balance=0.5, vectors=VECTORS).tolist() == [0, 3, 1, 2]


def looped(scores: np.ndarray, k: int, balance: float, vectors: np.ndarray) -> list[int]:
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    taken: list[int] = []
    while len(taken) < k:
        rest = [i for i in range(len(scores)) if i not in taken]
        taken.append(
            max(rest, key=lambda i: balance * relevance[i]
                - (1 - balance) * (max(unit[i] @ unit[j] for j in taken) if taken else 0))
        )  # fmt: skip
    return taken


@pytest.mark.parametrize("balance", [0.0, 0.3, 0.7, 0.95])
def test_equals_the_paper_s_loop(balance: float) -> None:
    random = np.random.default_rng(0)
    scores, vectors = random.random(40), random.normal(size=(40, 6))
    assert diversify(scores, 15, balance=balance, vectors=vectors).tolist() == looped(scores, 15, balance, vectors)


def test_no_vectors_ties_and_small_input() -> None:
    assert diversify(SCORES, 3, balance=0.2).tolist() == [0, 1, 2]
    assert diversify(np.ones(4, np.float32), 2).tolist() == [0, 1]
    assert diversify(SCORES, 100).tolist() == [0, 1, 2, 3, 4]
    assert diversify(SCORES[:0], 3).tolist() == []
    assert diversify(SCORES[:1], 3, vectors=np.zeros((1, 2), np.float32)).tolist() == [0]


@pytest.mark.parametrize("balance", [-0.1, 1.1, float("nan")])
def test_a_balance_out_of_range_is_refused(balance: float) -> None:
    with pytest.raises(ValueError, match="balance"):
        diversify(SCORES, 3, balance=balance)


def test_of_one_group_no_more_than_its_share_while_others_have_something_to_offer() -> None:
    scores = np.array([1.0, 0.95, 0.9, 0.85, 0.6, 0.0], dtype=np.float32)
    groups = np.array([0, 0, 0, 0, 1, 2], dtype=np.int32)
    chosen = {"groups": groups, "most": 2}
    assert diversify(scores, 3, balance=1, **chosen).tolist() == [0, 1, 4]
    assert diversify(scores, 4, balance=1, **chosen).tolist() == [0, 1, 4, 2], "what is left is far less relevant"
    assert diversify(scores, 6, balance=1, **chosen).tolist() == [0, 1, 4, 2, 3, 5]
    assert diversify(scores, 3, balance=1, groups=np.full(6, -1, np.int32), most=1).tolist() == [0, 1, 2]
    assert diversify(scores, 3, balance=1, groups=groups).tolist() == [0, 1, 2]
    assert diversify(scores[:0], 3, groups=groups[:0], most=1).tolist() == []
