import pytest

from recommender.engine.learning.schedules import SCHEDULES


@pytest.mark.parametrize("name", SCHEDULES)
def test_it_rises_for_the_warm_up_and_never_after(name: str) -> None:
    factors = [SCHEDULES[name](step, 100, 10) for step in range(100)]
    assert factors[:11] == sorted(factors[:11])
    assert factors[0] == pytest.approx(1 / 11)
    assert factors[10] == 1
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert min(factors) > 0


@pytest.mark.parametrize(("name", "half", "end"), [("constant", 1, 1), ("cosine", 0.5, 0), ("linear", 0.5, 0)])
def test_half_way_and_at_the_end(name: str, half: float, end: float) -> None:
    assert SCHEDULES[name](60, 110, 10) == pytest.approx(half)
    assert SCHEDULES[name](110, 110, 10) == pytest.approx(end)
    assert SCHEDULES[name](500, 110, 10) == pytest.approx(end)  # where there are more batches than was said
    assert SCHEDULES[name](0, 1, 0) == 1
