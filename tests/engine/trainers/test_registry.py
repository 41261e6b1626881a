"""Every trainer has a test file of its own name, with the contract in it."""

from importlib import import_module

import pytest

from recommender.engine.errors import UnknownName
from recommender.engine.trainers import TRAINERS, trainer
from tests.contracts.trainer import TrainerContract


@pytest.mark.parametrize("name", TRAINERS)
def test_is_under_contract(name: str) -> None:
    module = import_module(f"tests.engine.trainers.test_{name}")
    contracts = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, TrainerContract)]
    assert any(getattr(kind, "name", None) == name for kind in contracts)


@pytest.mark.parametrize("name", TRAINERS)
def test_is_named_as_its_file_and_class(name: str) -> None:
    camel = "".join(part.capitalize() for part in name.split("_"))
    assert TRAINERS[name] == f"recommender.engine.trainers.{name}.{camel}Trainer"


def test_an_unknown_trainer_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownName, match="popularity"):
        trainer("no-such-trainer")
