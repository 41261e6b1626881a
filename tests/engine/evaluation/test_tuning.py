import pytest

from recommender.engine.data.split import random_split
from recommender.engine.errors import Cancelled, InvalidConfig
from recommender.engine.evaluation.tuning import search_space, tune
from recommender.engine.trainers import Options, make_config
from tests import worlds

PARTS = random_split(worlds.two_groups(), 0.3, seed=0)


def test_finds_settings_at_least_as_good_as_the_defaults() -> None:
    trials = tune("als", *PARTS, trials=6)
    values = [trial.value for trial in trials]
    assert values == sorted(values, reverse=True)
    assert len(trials) == 6
    assert {} in [trial.config for trial in trials]
    for trial in trials:
        make_config("als", trial.config)


def test_the_same_seed_tries_the_same_and_never_twice() -> None:
    first, second = (tune("als", *PARTS, trials=5, options=Options(seed=9)) for _ in range(2))
    assert first == second
    assert len({str(make_config("als", trial.config)) for trial in first}) == 5


def test_what_is_given_is_kept() -> None:
    trials = tune("als", *PARTS, trials=4, base={"factors": 3, "iterations": 5})
    assert all((trial.config["factors"], trial.config["iterations"]) == (3, 5) for trial in trials)


def test_a_small_space_is_exhausted() -> None:
    given = {name: values[0] for name, values in search_space("als").items() if name != "iterations"}
    trials = tune("als", *PARTS, trials=50, base=given)
    assert len(trials) == len(search_space("als")["iterations"])


def test_nothing_to_search_tries_the_defaults() -> None:
    assert [dict(trial.config) for trial in tune("popularity", *PARTS, trials=5)] == [{}]


def test_wrong_settings_and_cancelling_propagate() -> None:
    with pytest.raises(InvalidConfig):
        tune("als", *PARTS, base={"no_such": 1})

    def cancel(share: float, message: str) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        tune("als", *PARTS, options=Options(progress=cancel))
