"""What a rule would do, before it does it: real lists without it and with it, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from recommender.models import Event, Item, Rule, Visitor
from recommender.models.ids import is_external_id
from recommender.services import catalogue, rules, serving
from recommender.services.errors import InvalidInput

FOR_YOU, POPULAR = "for-you", "popular"
PLACES = 12  # of a list: as many as a shelf of the shop shows
SAMPLES = 3  # visitors, those who did something last
LOOKED_AT = 500  # of the latest events, to find them
EXAMPLES = 6  # matching items that are named
MOST_COUNTED = 10_000  # matching items; beyond, "more than" says enough


@dataclass(frozen=True)
class Place:
    item: Item
    position: int
    mark: str
    """In the list with the rule: new, up, down or "" for the same place; in the one without it: gone or "". Drawn: it
    stands there by chance and would not the next time, with or without the rule."""
    was: int | None
    """Its position in the list without the rule."""
    named: bool
    """Whether the rule acted on it."""


@dataclass(frozen=True)
class Compared:
    """A list as it is now, and as it would be."""

    shelf: str
    visitor_id: str | None
    tier: str
    before: list[Place]
    after: list[Place]

    @property
    def changed(self) -> bool:
        return any(place.mark not in ("", "drawn") for place in (*self.before, *self.after))


@dataclass(frozen=True)
class Preview:
    matching: int
    """Active items in stock that match, at most MOST_COUNTED."""
    hidden: int
    """Others that match: sold out or not active."""
    examples: list[Item]
    others: int
    """Rules that are in force beside it."""
    lists: list[Compared]

    @property
    def capped(self) -> bool:
        return self.matching >= MOST_COUNTED


def preview(draft: Rule, visitor_id: str = "") -> Preview:
    """What this rule, saved or not, would do if it were on now: to popular items and to what some visitors are
    recommended, or this one. Nothing is saved or counted.

    Raises InvalidInput for a broken rule and for a visitor that there is not.
    """
    tried = rules.compiled(draft)
    visitors = [_known(visitor_id)] if visitor_id else samples()
    lists = [_compared(tried, FOR_YOU, visitor_id) for visitor_id in visitors]
    lists.append(_compared(tried, POPULAR, None))
    matching = Item.objects.filter(tried.condition.as_q())
    there = matching.filter(Q(stock__isnull=True) | Q(stock__gt=0), active__in=[True])
    found = there.order_by()[:MOST_COUNTED].count()
    return Preview(
        found,
        matching.order_by()[:MOST_COUNTED].count() - found,
        list(catalogue.with_cards(there).order_by("-added_at", "id")[:EXAMPLES]),
        sum(rule.rule_id != tried.rule_id for rule in rules.acting(tried.shelf or FOR_YOU)),
        lists,
    )


def samples() -> list[str]:
    """The visitors who did something last."""
    latest = Event.objects.order_by("-id").values_list("visitor_id", flat=True)[:LOOKED_AT]
    return list(dict.fromkeys(latest))[:SAMPLES]


def _known(visitor_id: str) -> str:
    visitor = Visitor.objects.filter(pk=visitor_id).first() if is_external_id(visitor_id) else None
    if visitor is None:
        raise InvalidInput(f"There is no visitor {visitor_id[:40]!r}.", field="visitor")
    return visitor.merged_into_id or visitor.pk


def _compared(tried: rules.Acting, shelf: str, visitor_id: str | None) -> Compared:
    without = [rule for rule in rules.acting(shelf) if rule.rule_id != tried.rule_id]
    added = [tried] if tried.shelf in ("", shelf) else []
    together = sorted([*without, *added], key=lambda rule: (-rule.priority, rule.rule_id or float("inf")))
    before, after = _served(shelf, visitor_id, without), _served(shelf, visitor_id, together)
    had = {entry.item.pk: entry.position for entry in before.entries if entry.chance is None}
    has = {entry.item.pk for entry in after.entries}
    return Compared(
        shelf,
        visitor_id,
        after.tier,
        [
            Place(
                entry.item,
                entry.position,
                "drawn" if entry.chance is not None else "" if entry.item.pk in has else "gone",
                None,
                False,
            )
            for entry in before.entries
        ],
        [
            Place(
                entry.item,
                entry.position,
                "drawn" if entry.chance is not None else _moved(had.get(entry.item.pk), entry.position),
                had.get(entry.item.pk),
                tried.name in entry.rules,
            )
            for entry in after.entries
        ],
    )


def _served(shelf: str, visitor_id: str | None, acting: Sequence[rules.Acting]) -> serving.Shelf:
    if visitor_id is None:
        return serving.popular(PLACES, name=shelf, terms=serving.Terms(acting=acting))
    return serving.recommend(visitor_id, PLACES, rules=acting, note=False)


def _moved(was: int | None, position: int) -> str:
    if was is None:
        return "new"
    return "" if was == position else "up" if position < was else "down"
