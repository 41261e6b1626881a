import numpy as np
import pytest

from recommender.engine.data.weighting import DAY_S, EventWeights, weigh
from recommender.engine.errors import InvalidConfig

NOW = 1_700_000_000


def weight(kind: str, value: float = np.nan, age_days: float = 0, **config: float) -> float:
    [found] = weigh(
        np.array([kind]), np.array([value]), np.array([NOW - int(age_days * DAY_S)]), NOW, EventWeights(**config)
    )
    assert found.dtype == np.float32
    return float(found)


def test_kinds_weigh_as_configured() -> None:
    assert [weight(kind) for kind in ("view", "purchase", "dislike", "impression", "never heard of")] == [
        1, 5, -5, 0, 0,
    ]  # fmt: skip


def test_stars_count_from_the_middle_and_other_kinds_ignore_values() -> None:
    assert [weight("rating", stars) for stars in (1, 3, 5, np.nan)] == [-4, 0, 4, 0]
    assert weight("view", 5) == 1


@pytest.mark.parametrize(("age_days", "expected"), [(0, 1), (180, 0.5), (360, 0.25), (-10, 1)])
def test_age_halves(age_days: float, expected: float) -> None:
    assert weight("view", age_days=age_days) == pytest.approx(expected)


def test_decay_can_be_turned_off() -> None:
    assert weight("view", age_days=5000, half_life_days=0) == 1


def test_no_events_no_weights() -> None:
    empty = np.array([], dtype=np.int64)
    assert weigh(np.array([], dtype=np.str_), empty.astype(float), empty, NOW, EventWeights()).shape == (0,)


@pytest.mark.parametrize("wrong", [{"half_life_days": -1}, {"half_life_days": np.nan}, {"by_kind": {"view": np.inf}}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InvalidConfig):
        EventWeights(**wrong)
