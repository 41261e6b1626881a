"""Conditions on items, written by staff and by API clients: parsed by hand, never evaluated as code.

    category = "prints" and (price < 20 or tag in ("gift", "offer")) and not creator contains "anon"

One condition tests an item in memory (`matches`) or asks the database (`as_q`), with the same answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from django.db.models import Q

from recommender.models import Item
from recommender.services.filtering.fields import FIELDS, Comparison, Test
from recommender.services.filtering.parser import MAX_DEPTH, MAX_LENGTH, MAX_TERMS, All, Node, Not, parsed

__all__ = ["FIELDS", "MAX_DEPTH", "MAX_LENGTH", "MAX_TERMS", "Condition", "parse"]

REMEMBERED = 256  # conditions that a process keeps compiled


@dataclass(frozen=True)
class Condition:
    text: str
    root: Node
    matches: Callable[[Item], bool] = field(repr=False, compare=False)
    """Whether an item meets it; asks no database where the item came with its category."""

    def as_q(self) -> Q:
        """The same for a query of items."""
        return _q(self.root)


@lru_cache(REMEMBERED)
def parse(text: str) -> Condition:
    """Raises InvalidInput that says where, what was found and what was expected."""
    root = parsed(text)
    return Condition(text, root, _test(root))


def _test(node: Node) -> Test:
    if isinstance(node, Comparison):
        return node.test()
    if isinstance(node, Not):
        inner = _test(node.part)
        return lambda item: not inner(item)
    tests = [_test(part) for part in node.parts]
    return _all(tests) if isinstance(node, All) else _any(tests)


def _all(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:  # the usual number, without a loop
        first, second = tests
        return lambda item: first(item) and second(item)

    def test(item: Item) -> bool:
        for one in tests:  # noqa: SIM110 - all() and a generator take twice as long
            if not one(item):
                return False
        return True

    return test


def _any(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda item: first(item) or second(item)

    def test(item: Item) -> bool:
        for one in tests:  # noqa: SIM110 - any() and a generator take twice as long
            if one(item):
                return True
        return False

    return test


def _q(node: Node) -> Q:
    if isinstance(node, Comparison):
        return node.as_q()
    if isinstance(node, Not):
        return ~_q(node.part)
    return Q(*map(_q, node.parts), _connector=Q.AND if isinstance(node, All) else Q.OR)
