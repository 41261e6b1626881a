"""Search by words. Every word must occur somewhere in an item; where it occurs decides the order."""

import re

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable

from recommender.models import Item
from recommender.services import catalogue

MAX_WORDS = 8
MAX_LENGTH = 200  # characters of a query that are looked at
FIELDS = {"title": 8, "creator": 4, "category__name": 2, "description": 1}  # where a word is found: what it is worth
_WORD = re.compile(r"[^\W_]+", re.UNICODE)


def words(query: str) -> list[str]:
    """The distinct words that are searched for, lower case."""
    return list(dict.fromkeys(_WORD.findall(query[:MAX_LENGTH].lower())))[:MAX_WORDS]


def search(query: str) -> QuerySet[Item]:
    """Active items that hold every word of `query`, the best match first; nothing for a query without words."""
    found = words(query)
    if not found:
        return Item.objects.none()
    items = catalogue.with_cards(catalogue.active_items())
    score: Combinable = Value(0, output_field=IntegerField())
    for word in found:
        # SQLite knows upper and lower case of ASCII letters only, so that É needs to be asked for besides é.
        forms = [word] if word.isascii() else list(dict.fromkeys((word, word.capitalize(), word.upper())))
        anywhere = Q()
        for field, worth in FIELDS.items():
            holds = Q()
            for form in forms:
                holds |= Q(**{f"{field}__icontains": form})
            anywhere |= holds
            score = score + Case(When(holds, then=Value(worth)), default=Value(0))
        # "sea" means The Sea-Wolf before a Search, and both before Rousseau. A word holds no sign that a regex knows.
        whole_word = Q(title__iregex=rf"(^|\W){word}(\W|$)")
        begins = Q(title__istartswith=word) | Q(title__icontains=f" {word}")
        score = score + Case(When(whole_word, then=Value(16)), When(begins, then=Value(8)), default=Value(0))
        items = items.filter(anywhere)
    plain = query[:MAX_LENGTH].replace("\x00", "").strip()  # PostgreSQL takes no NUL character
    whole = Case(When(title__iexact=plain, then=Value(100)), default=Value(0))
    return items.annotate(match=score + whole).order_by("-match", F("title").asc(), "id")
