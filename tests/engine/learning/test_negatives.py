import numpy as np
import pytest
import torch

from recommender.engine.learning.negatives import Sampler, hardest, masked

ROWS = np.array([0] * 8 + [1] * 4 + [3] * 1, np.int32)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_items_come_as_often_as_their_popularity_says(power: float) -> None:
    sampler = Sampler.popular(ROWS, 4, power)
    weights = np.array([8, 4, 0, 1]) ** power
    chances = weights / weights.sum()
    drawn = sampler.draw(np.random.default_rng(0), 200_000)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / len(drawn), chances, atol=0.005)
    np.testing.assert_allclose(np.exp(sampler.log_q), chances, rtol=1e-6)
    assert drawn.dtype == np.int64


def test_uniform_draws_reach_every_item_and_follow_the_seed() -> None:
    sampler = Sampler.uniform(50)
    first, second = (sampler.draw(np.random.default_rng(5), 2000) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert set(first) == set(range(50))
    np.testing.assert_allclose(sampler.log_q, -np.log(50), rtol=1e-6)


def test_what_has_no_chance_is_never_drawn_even_by_the_last_number() -> None:
    class Extreme:
        def random(self, count: int) -> np.ndarray:
            return np.linspace(0, np.nextafter(1, 0), count)

    drawn = Sampler.weighted([0, 1, 0, 2, 0]).draw(Extreme(), 1000)  # type: ignore[arg-type]
    assert set(drawn) == {1, 3}


def test_a_negative_that_was_chosen_is_masked() -> None:
    scores = torch.zeros(3, 4)
    shared = masked(scores, torch.tensor([5, 6, 7, 5]), torch.tensor([5, 7, 9]))
    assert (shared == -float("inf")).tolist() == [[True, False, False, True], [False, False, True, False], [False] * 4]
    own = masked(scores[:1], torch.tensor([[1, 2, 3, 4]]), torch.tensor([3]))
    assert (own == -float("inf")).tolist() == [[False, False, True, False]]


def test_the_hardest_are_the_highest() -> None:
    scores = torch.tensor([[1.0, 9.0, 3.0, 4.0], [8.0, -float("inf"), 2.0, 1.0]])
    assert hardest(scores, 2).sort().values.tolist() == [[4.0, 9.0], [2.0, 8.0]]
    assert hardest(scores, 9).shape == (2, 4)
