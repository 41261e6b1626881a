"""What an answer is: a shelf of recommendations, and what stands behind each."""

import uuid
from dataclasses import dataclass, field

from recommender.models import Item
from recommender.services.errors import InvalidInput

MAX_RESULTS = 100  # items of one answer; more than any shelf shows, and each is read from the database


@dataclass(frozen=True)
class Recommendation:
    item: Item
    position: int
    score: float
    reason: str
    source: str = ""
    """Where it came from: one of engine.ranking.sources.SOURCES; empty where there was only one list."""
    rules: tuple[str, ...] = ()
    """The business rules that acted on it, by name."""
    chance: float | None = None
    """The probability with which it was drawn for its place; None where chance played no part."""


@dataclass(frozen=True)
class Shelf:
    """One answer: a row of recommendations that all came from one tier of one run."""

    name: str
    title: str
    tier: str
    """model, segment, similar, together, content, popular, trending, catalogue or disk."""
    run_id: int | None
    entries: list[Recommendation]
    rec_id: uuid.UUID = field(default_factory=uuid.uuid4)
    variant: str = ""
    """experiment/variant that the visitor is served by."""

    def __bool__(self) -> bool:
        return bool(self.entries)


def checked(n: int) -> int:
    """Raises InvalidInput for a number of results that is not from 1 to MAX_RESULTS."""
    if not 1 <= n <= MAX_RESULTS:
        raise InvalidInput(f"n must be from 1 to {MAX_RESULTS}.")
    return n
