"""Search by words, misspelled or not, by meaning and by taste; and suggestions while somebody types."""

from recommender.services.search.filters import NO_FILTERS, Choice, Facet, Filters, Row, chosen, without
from recommender.services.search.results import CANDIDATES, SORTS, Answer, search
from recommender.services.search.suggestions import Suggestion, suggest
from recommender.services.search.words import MAX_LENGTH, MAX_WORDS, clean

__all__ = [
    "CANDIDATES",
    "MAX_LENGTH",
    "MAX_WORDS",
    "NO_FILTERS",
    "SORTS",
    "Answer",
    "Choice",
    "Facet",
    "Filters",
    "Row",
    "Suggestion",
    "chosen",
    "clean",
    "ranked",
    "search",
    "suggest",
    "without",
]


def ranked(query: str, visitor_id: str | None = None, limit: int = 200) -> list[tuple[str, float]]:
    """Item ids with scores, the best first, for callers that filter and show them their own way (the assistant).

    `visitor_id` is whose taste may order what is equally good.
    """
    return [(row.item_id, row.score) for row in search(query, visitor_id=visitor_id).rows[:limit]]
