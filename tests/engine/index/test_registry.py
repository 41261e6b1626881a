"""Every index has a test file of its own name, with the contract in it."""

from importlib import import_module

import pytest

from recommender.engine.errors import UnknownName
from recommender.engine.index import INDEXES, index_kind
from tests.contracts.index import IndexContract


@pytest.mark.parametrize("name", INDEXES)
def test_is_under_contract(name: str) -> None:
    module = import_module(f"tests.engine.index.test_{name}")
    contracts = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, IndexContract)]
    assert any(getattr(kind, "name", None) == name for kind in contracts)


def test_an_unknown_index_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownName, match="exact"):
        index_kind("hnsw")
