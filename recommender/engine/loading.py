"""Registries are dict literals of dotted names; an entry is imported on first use."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from recommender.engine.errors import UnknownName


def load(registry: Mapping[str, str], name: str) -> Any:
    """The object that `registry[name]` names.

    Raises UnknownName, listing the names there are.
    """
    try:
        module_name, _, attribute = registry[name].rpartition(".")
    except KeyError:
        raise UnknownName(f"{name!r} is none of: {', '.join(sorted(registry))}.") from None
    return getattr(import_module(module_name), attribute)
