"""Every detector has a test file of its own name, with the contract in it."""

from importlib import import_module

import pytest

from recommender.engine.anomaly import CLEAN, DETECTORS, detector, make_config
from recommender.engine.errors import UnknownName
from tests.contracts.detector import DetectorContract


@pytest.mark.parametrize("name", DETECTORS)
def test_is_under_contract(name: str) -> None:
    module = import_module(f"tests.engine.anomaly.test_{name}")
    contracts = [
        kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, DetectorContract)
    ]
    assert any(getattr(kind, "name", None) == name for kind in contracts)


@pytest.mark.parametrize("name", DETECTORS)
def test_is_named_as_its_file_and_class(name: str) -> None:
    camel = "".join(part.capitalize() for part in name.split("_"))
    assert DETECTORS[name] == f"recommender.engine.anomaly.{name}.{camel}Detector"


def test_an_unknown_detector_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownName, match="isolation_forest"):
        detector("no-such-detector")


@pytest.mark.parametrize("name", CLEAN)
def test_settings_for_usual_rows_are_valid(name: str) -> None:
    make_config(name, CLEAN[name])
