"""Answers without a language model: what a wish finds, and sentences about it that say only what is so."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.core import signing
from django.db.models import F

from recommender.conf import conf
from recommender.models import Category, Item
from recommender.services import catalogue, search, serving
from recommender.services.assistant.wish import MAX_WITHOUT, Wish, understand
from recommender.services.errors import InvalidInput, UnknownItem
from recommender.services.serving import Recommendation, Shelf

LENGTH = 6  # items of an answer: what a person takes in at a glance
POOL = 200  # items looked at for limits that few may pass
MAX_STATE = 4000  # characters of a conversation's state
MAX_REMEMBERED = 60  # items passed over that are kept out
SALT = "assistant"
SHELF = "assistant"
EXAMPLES = (
    "A gift for someone who likes the sea, under £20",
    "Something calm for the evening, not too long",
    "A print with mountains, around £30",
)


@dataclass(frozen=True)
class Reply:
    """One answer: a sentence, items with a reason each, and what the next message builds on."""

    text: str
    shelf: Shelf
    wish: Wish
    asks: list[str] = field(default_factory=list)
    """Messages that a shopper may send next."""

    @property
    def state(self) -> str:
        """The wish, signed: a conversation needs no session and no row."""
        kept = replace(
            self.wish,
            shown=tuple(entry.item.pk for entry in self.shelf.entries),
            passed=self.wish.passed[-MAX_REMEMBERED:],
        )
        values = {name: str(value) if isinstance(value, Decimal) else value for name, value in vars(kept).items()}
        return signing.dumps({name: value for name, value in values.items() if value}, salt=SALT, compress=True)


def restored(state: str) -> Wish:
    """The wish that a state holds; an empty one for what was not made here, or by another version."""
    try:
        values = signing.loads(state[:MAX_STATE], salt=SALT) if state else {}
        for name in ("least", "most"):
            if name in values:
                values[name] = Decimal(values[name])
        for name in ("without", "shown", "passed"):
            values[name] = tuple(values.get(name, ()))
        return Wish(**values)
    except (signing.BadSignature, TypeError, ArithmeticError):
        return Wish()


def reply(message: str, before: Wish, visitor_id: str | None) -> Reply:
    """What the shop has for a message, in the light of what was said before. Raises InvalidInput for an empty one."""
    if not message.strip():
        raise InvalidInput("Say what you are looking for.")
    names = dict(Category.objects.values_list("slug", "name"))
    wish = understand(message, before, names)
    if wish.is_empty:
        picked = serving.recommend(visitor_id, LENGTH)
        text = "Tell me what it is for, what they like, or what it may cost. Meanwhile, these may please:"
        return Reply(text, replace(picked, name=SHELF), wish, [*EXAMPLES])
    found, left_out = _find(wish, visitor_id)
    text = _sentence(wish, found, names, left_out)
    if wish == before:  # "thanks", say
        text = "Say what to change: a price, a kind, other words; or start again. So far:"
    shelf = Shelf(SHELF, "For your wish", "search", None, found)
    return Reply(text, shelf, wish, _asks(wish, found, names))


def _find(wish: Wish, visitor_id: str | None) -> tuple[list[Recommendation], str]:
    """Up to LENGTH items with their reasons; and, where nothing passed all limits, which one was given up."""
    attempts: list[tuple[str, Wish]] = [("", wish)]
    if wish.most is not None or wish.least is not None:
        attempts.append(("price", replace(wish, least=None, most=None)))
    if wish.category and (wish.words or wish.like):
        attempts.append(("category", replace(wish, category=None)))
    for left_out, tried in attempts:
        found = entries(tried, visitor_id)
        if found:
            nearest = left_out == "price" and wish.most is not None
            if nearest:
                found.sort(key=lambda entry: entry.item.price or Decimal("Infinity"))
                found = [replace(entry, position=place) for place, entry in enumerate(found, 1)]
            return found, left_out
    return [], ""


def entries(wish: Wish, visitor_id: str | None, n: int = LENGTH) -> list[Recommendation]:
    """The items within all limits, in stock now, the best first."""
    ranked = _ranked(wish, visitor_id)
    items = {item.pk: item for item in catalogue.with_cards(_within(wish).filter(pk__in=list(ranked)))}
    kept: list[Recommendation] = []
    for item_id, score in ranked.items():
        item = items.get(item_id)
        if item is not None and not _speaks_of(item, wish.without) and item_id not in wish.passed:
            kept.append(Recommendation(item, len(kept) + 1, score, _reason(item, wish)))
            if len(kept) == n:
                break
    return kept


def _ranked(wish: Wish, visitor_id: str | None) -> dict[str, float]:
    """Item ids with scores, the best first."""
    shut_out = set(wish.passed)
    if wish.like:
        try:
            alike = serving.similar(wish.like, min(POOL, serving.MAX_RESULTS), exclude=shut_out)
            return {entry.item.pk: entry.score for entry in alike.entries}
        except UnknownItem:
            pass
    if wish.words:
        return dict(search.ranked(wish.words, visitor_id, POOL))
    most = min(POOL, serving.MAX_RESULTS)
    ranked = serving.recommend(visitor_id, most, category=wish.category, exclude=shut_out, note=False)
    found = {entry.item.pk: entry.score for entry in ranked.entries}
    for item_id in _within(wish).order_by(F("price").desc(nulls_last=True), "pk").values_list("pk", flat=True)[:POOL]:
        found.setdefault(item_id, 0.0)
    return found


def _within(wish: Wish) -> Any:
    items = catalogue.active_items(wish.category).exclude(stock=0)
    if wish.least is not None:
        items = items.filter(price__gte=wish.least)
    if wish.most is not None:
        items = items.filter(price__lte=wish.most)
    return items


def _texts(item: Item) -> str:
    category = item.category.name if item.category else ""
    return f"{item.title} {item.creator} {category} {item.description}".lower()


def _speaks_of(item: Item, words: tuple[str, ...]) -> bool:
    text = _texts(item)
    stems = (word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words[:MAX_WITHOUT])
    return any(stem in text for stem in stems)


def _reason(item: Item, wish: Wish) -> str:
    if wish.like:
        return "Close to the one you chose"
    told = [word for word in wish.words.split() if _speaks_of(item, (word,))]
    if told:
        return f"Speaks of {_listed(told)}"
    return "Close in meaning" if wish.words else "Within your limits"


def _sentence(wish: Wish, found: list[Recommendation], names: Mapping[str, str], left_out: str) -> str:
    asked = _asked(wish, names)
    if not found:
        return f"Nothing here fits {asked}. Try other words, or leave a limit out."
    count = "One piece" if len(found) == 1 else f"{len(found)} pieces"
    if left_out == "price":
        return f"Nothing fits {asked}. Without the limit on the price, there is:"
    if left_out == "category":
        return f"Nothing fits {asked}. Elsewhere in the shop there is:"
    return f"The best of what fits {asked}:" if len(found) == LENGTH else f"{count} for {asked}:"


def _asked(wish: Wish, names: Mapping[str, str]) -> str:
    """The wish in words: “sea”, in Prints, from £10 to £20, without blue."""
    money = conf().currency_symbol
    parts = [f"“{wish.words}”" if wish.words else "more like that one" if wish.like else "what you asked for"]
    if wish.category:
        parts.append(f"in {names.get(wish.category, wish.category)}")
    if wish.least and wish.most is not None:
        parts.append(f"from {money}{wish.least:.2f} to {money}{wish.most:.2f}")
    elif wish.most is not None:
        parts.append(f"up to {money}{wish.most:.2f}")
    elif wish.least:
        parts.append(f"from {money}{wish.least:.2f}")
    if wish.without:
        parts.append(f"without {_listed(list(wish.without), 'or')}")
    return ", ".join(parts)


def _asks(wish: Wish, found: list[Recommendation], names: Mapping[str, str]) -> list[str]:
    """What a shopper may want to say next, where it would change something."""
    asks = []
    if len(found) == LENGTH:
        asks.append("Something else")
    prices = [entry.item.price for entry in found if entry.item.price is not None]
    if len(prices) > 1:
        asks.append(f"Under {conf().currency_symbol}{max(1, int(sorted(prices)[len(prices) // 2])):d}")
    held = {entry.item.category_id for entry in found if entry.item.category_id}
    if not wish.category and len(held) > 1:
        asks += [f"Only {names[slug]}" for slug in sorted(held)[:2] if slug in names]
    if len(found) > 1:
        asks.append("More like the first")
    return asks


def _listed(words: list[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
