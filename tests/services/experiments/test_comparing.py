"""Rates and differences, against simulated worlds and published values."""

import numpy as np
import pytest

from recommender.services.experiments.comparing import (
    Difference,
    Rate,
    bound,
    chi_square_tail,
    difference,
    lift,
    needed,
    ratio_p,
    wilson,
)


def test_wilson_is_as_published() -> None:
    # Newcombe, Stat. Med. 17 (1998), table I, method 3: 81/263 and 0/20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_tail_of_chi_square_is_as_in_tables() -> None:
    table = ((3.841, 1), (5.991, 2), (7.815, 3), (9.488, 4), (11.070, 5), (12.592, 6))
    assert [chi_square_tail(x, degrees) for x, degrees in table] == pytest.approx([0.05] * 6, rel=2e-3)
    assert chi_square_tail(0, 3) == 1.0


def test_uneven_visitors_are_noticed() -> None:
    assert ratio_p([5000, 5100], [1, 1]) > 0.3
    assert ratio_p([5000, 5500], [1, 1]) < 1e-5
    assert ratio_p([5000, 15100], [1, 3]) > 0.3
    assert ratio_p([0, 0], [1, 1]) == 1.0


def test_a_lift_has_an_interval_that_covers_it() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        ours, theirs = (Rate(int(rng.binomial(4000, p)), 4000) for p in (0.06, 0.05))
        found = lift(ours, theirs)
        assert found is not None
        covered += found[1] <= 0.2 <= found[2]
    assert 365 <= covered <= 395
    assert lift(Rate(0, 10), Rate(2, 10)) is None


def looked_at(rate: float, other: float, planned: int, seed: int, looks: int = 40) -> str:
    """The verdict of one experiment that is looked at 40 times and stops at the first that is certain."""
    rng = np.random.default_rng(seed)
    steps = np.diff(np.linspace(0, planned, looks + 1).astype(int))
    counts = [np.cumsum(rng.binomial(steps, p)) for p in (rate, other)]
    for place, count in enumerate(np.cumsum(steps)):
        found = difference(Rate(int(counts[0][place]), int(count)), Rate(int(counts[1][place]), int(count)), planned)
        if found.verdict != "open":
            return found.verdict
    raise AssertionError("It never ended.")


def test_looking_every_day_finds_nothing_where_there_is_nothing() -> None:
    planned = needed(0.1, 0.2)
    found = [looked_at(0.1, 0.1, planned, seed) for seed in range(1000)]
    wrong = sum(verdict != "same" for verdict in found)
    assert wrong / len(found) <= 0.05 + 1.645 * (0.05 * 0.95 / len(found)) ** 0.5
    assert wrong > 10  # it is not only that nothing is ever found


def test_looking_every_day_with_an_ordinary_interval_would_mislead() -> None:
    """The oracle of the one above: what 1.96 standard errors would have done."""
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(300):
        clicks = rng.binomial(1, 0.1, (2, 4000)).cumsum(axis=1)[:, 99::100]
        shown = np.arange(100, 4001, 100)
        rates = clicks / shown
        error = np.sqrt((rates * (1 - rates)).sum(axis=0) / shown)
        wrong += bool((np.abs(rates[0] - rates[1]) > 1.96 * error).any())
    assert wrong / 300 > 0.2


def test_a_difference_as_large_as_was_planned_for_is_found_four_times_in_five() -> None:
    planned = needed(0.1, 0.2)
    found = [looked_at(0.1, 0.12, planned, seed) for seed in range(300)]
    assert 0.71 < found.count("better") / 300 < 0.86
    assert "worse" not in found
    large = [looked_at(0.1, 0.14, planned, seed) for seed in range(100)]
    assert large == ["better"] * 100


def test_visitors_needed_grow_with_what_is_to_be_told_apart() -> None:
    # The ordinary two-sided test of 5 % and 80 % needs 3,841 of each; looking at any time costs about 6 % more.
    assert 3_841 < needed(0.1, 0.2) < 1.1 * 3_841
    assert needed(0.1, 0.1) > 3.5 * needed(0.1, 0.2)
    assert needed(0.01, 0.2) > 9 * needed(0.1, 0.2)
    assert needed(0.1, 0.2, variants=3) > needed(0.1, 0.2)
    assert needed(0.9, 10) > 0  # a rate above 1 cannot be
    assert bound(3) > bound(1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        needed(0.0, 0.1)


def test_nothing_is_certain_where_nobody_came() -> None:
    assert difference(Rate(0, 0), Rate(0, 0), 100) == Difference(0.0, -1.0, 1.0, None, 0.0)
    assert difference(Rate(0, 5), Rate(5, 5), 4000).verdict == "open"
    assert difference(Rate(0, 4000), Rate(0, 4000), 4000).verdict == "same"
