"""What somebody who types may be after: titles, creators and categories that hold the words so far."""

from dataclasses import dataclass

from recommender.models import Category, Item
from recommender.services.search import lexical, spelling
from recommender.services.search.words import MAX_WORDS, STOP, clean, fold, split

TITLES, CREATORS, CATEGORIES, WORDS = 5, 3, 2, 3
ENOUGH = 4  # suggestions without completed words
LOOKED_AT = 400  # titles that are compared
MAX_CATEGORIES = 2_000  # of a shop that are looked through


@dataclass(frozen=True)
class Suggestion:
    kind: str
    """title, creator, category, or words: what was typed, its last word completed."""
    text: str
    id: str
    """The item's id or the category's slug; empty for what is searched for."""


def suggest(query: str) -> list[Suggestion]:
    """At most ten: categories, titles, creators, completed words; nothing where no word was begun."""
    typed = split(clean(query))[:MAX_WORDS]
    if not typed:
        return []
    found = _of(typed)
    if not found and len(typed[-1]) >= spelling.SHORTEST:
        known = spelling.words()
        mended = [word if known.count(word) else (known.nearest(word) or (word,))[0] for word in typed]
        found = _of(mended) if mended != typed else []
    if len(found) < ENOUGH:
        found += _completed(typed)
    return found


def _completed(typed: list[str]) -> list[Suggestion]:
    """The words with the last one as it most often goes on, where anything holds them all."""
    *before, last = typed
    texts = [
        " ".join([*before, word])
        for word in spelling.words().beginning(last, 2 * WORDS)
        if word != last and word not in STOP
    ]
    return [
        Suggestion("words", text, "")
        for text in texts[:WORDS]
        if lexical.find([[word] for word in split(text)], 1, ranked=1)
    ]


def _of(typed: list[str]) -> list[Suggestion]:
    terms = [[word] for word in typed]
    titles = lexical.find(terms, TITLES, prefix=True, fields=["title"], ranked=LOOKED_AT)
    by = lexical.find(terms, LOOKED_AT, prefix=True, fields=["creator"], ranked=LOOKED_AT)
    items = {
        item_id: (title, creator)
        for item_id, title, creator in Item.objects.filter(
            id__in=[*titles.item_ids, *by.item_ids[: 8 * CREATORS]], active=True
        ).values_list("id", "title", "creator")
    }
    creators = list(dict.fromkeys(items[item_id][1] for item_id in by.item_ids if item_id in items))[:CREATORS]
    return [
        *_categories(typed),
        *(Suggestion("title", items[item_id][0], item_id) for item_id in titles.item_ids if item_id in items),
        *(Suggestion("creator", name, "") for name in creators),
    ]


def _categories(typed: list[str]) -> list[Suggestion]:
    """Those of whose name each typed word begins a word."""
    begun = [fold(word) for word in typed]
    found = []
    for slug, name in Category.objects.order_by("position", "name").values_list("slug", "name")[:MAX_CATEGORIES]:
        own = [fold(word) for word in split(name)]
        if all(any(word.startswith(start) for word in own) for start in begun):
            found.append(Suggestion("category", name, slug))
    return found[:CATEGORIES]
