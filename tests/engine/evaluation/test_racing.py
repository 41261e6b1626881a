import pytest

from recommender.engine.data.split import random_split
from recommender.engine.errors import Cancelled
from recommender.engine.evaluation.panel import Panel
from recommender.engine.evaluation.racing import race
from recommender.engine.evaluation.tuning import Search, State
from recommender.engine.trainers import Options
from tests import worlds
from tests.engine.evaluation import stubs

NAMES = ["stub_a", "stub_b", "stub_c", "stub_d"]
PANEL = Panel(*random_split(worlds.two_groups(), 0.3, seed=0), "ndcg", 10, seed=0)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    stubs.register(monkeypatch, *NAMES)


def searches(*bases: dict) -> list[Search]:
    return [Search(name, PANEL, base=base, clock=stubs.CLOCK) for name, base in zip(NAMES, bases, strict=False)]


def test_every_round_the_worse_half_drops_out() -> None:
    """A trial takes 1 s, and of every five users each trainer reaches as many as its base says."""
    found = searches(*({"seconds": 1.0, "hits": hits} for hits in (2, 1, 4, 3)))
    race(found, seconds=12, clock=stubs.CLOCK)
    assert stubs.CLOCK.now <= 12
    fits = {search.trainer: search.fits for search in found}
    assert fits["stub_c"] == max(fits.values()) > fits["stub_b"] == min(fits.values())


def test_fits_alone_bound_a_race_and_who_drops_out_gets_fewer() -> None:
    found = searches(*({"seconds": seconds} for seconds in (1.0, 2.0, 3.0, 4.0)))
    race(found, fits=8, clock=stubs.CLOCK)
    assert sorted(search.fits for search in found) == [4, 4, 8, 8]


def test_time_is_kept_although_bases_are_slow() -> None:
    found = searches({"seconds": 3.0}, {"seconds": 1.0}, {"seconds": 100.0})
    out = race(found, seconds=30, clock=stubs.CLOCK)
    assert stubs.CLOCK.now <= 31
    assert list(out) == ["stub_c"]
    assert "its share of the time" in out["stub_c"]
    assert [trial.state for trial in found[2].trials] == [State.ABANDONED]


def test_the_first_base_finishes_even_where_there_is_no_time() -> None:
    found = searches({"seconds": 100.0}, {"seconds": 1.0})
    out = race(found, seconds=5, clock=stubs.CLOCK)
    assert found[0].best is not None
    assert list(out) == ["stub_b"]


def test_who_fails_is_out_and_the_others_go_on() -> None:
    found = searches({"fails": "large"}, {})
    out = race(found, fits=3, clock=stubs.CLOCK)
    assert out == {"stub_a": "Its first settings failed."}
    assert found[1].fits == 3


def test_cancelling_is_not_one_trainers_trouble() -> None:
    def cancel(share: float, message: str) -> None:
        raise Cancelled()

    options = Options(progress=cancel)
    with pytest.raises(Cancelled):
        race([Search(name, PANEL, options=options, clock=stubs.CLOCK) for name in NAMES], fits=3, clock=stubs.CLOCK)


def test_alone_what_goes_wrong_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*args: object) -> None:
        raise ImportError("no such package")

    monkeypatch.setattr(stubs.StubTrainer, "fit", staticmethod(fit))
    [alone] = searches({})
    with pytest.raises(ImportError):
        race([alone], fits=3, clock=stubs.CLOCK)
    out = race(searches({}, {}), fits=3, clock=stubs.CLOCK)
    assert out == {"stub_a": "no such package", "stub_b": "no such package"}


def test_a_race_needs_an_end() -> None:
    with pytest.raises(ValueError, match="seconds, fits"):
        race(searches({}))
