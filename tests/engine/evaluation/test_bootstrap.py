import numpy as np

from recommender.engine.evaluation import bootstrap
from recommender.engine.evaluation.bootstrap import intervals


def test_the_interval_holds_the_mean_and_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(0).normal(3, 2, (2000, 1))
    [interval] = intervals(values)
    assert interval.low < interval.value < interval.high
    assert interval.value == values.mean()
    assert np.isclose(interval.high - interval.low, 2 * 1.96 * values.std() / np.sqrt(2000), rtol=0.1)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        [interval] = intervals(random.exponential(1, (100, 1)), samples=300)
        covered += interval.low <= 1 <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(2).random((50, 3))
    assert intervals(values, seed=5) == intervals(values, seed=5)
    assert intervals(values, seed=5) != intervals(values, seed=6)


def test_blocks_change_nothing_that_matters(monkeypatch) -> None:
    values = np.random.default_rng(2).random((50, 2))
    whole = intervals(values, samples=100)
    monkeypatch.setattr(bootstrap, "BLOCK_BYTES", 50 * 8 * 7)
    assert intervals(values, samples=100) == whole


def test_metrics_are_resampled_together() -> None:
    values = np.random.default_rng(2).random((50, 1))
    one, double = intervals(np.hstack([values, 2 * values]))
    assert np.isclose(double.low, 2 * one.low)


def test_constant_values_have_no_width_and_no_users_no_interval() -> None:
    [interval] = intervals(np.full((10, 1), 0.25))
    assert interval.low == interval.value == interval.high == 0.25
    [interval] = intervals(np.empty((0, 1)))
    assert interval.as_json() == {"value": None, "low": None, "high": None}
