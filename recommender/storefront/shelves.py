"""Rows of cards: what the services answer, ready to be drawn, with the trail that the next click carries back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.urls import reverse

from recommender.models import Category, Event, Item
from recommender.services import catalogue, events, histories, serving
from recommender.services.event_fields import MAX_SHELF
from recommender.storefront import sources

SHELF_LENGTH = 12  # cards on one shelf
PERSONAL = ("model", "segment", "content")  # the tiers that look at what the visitor did
DEPARTMENTS_ON_HOME = 4  # departments with a shelf of their own on the front page


@dataclass
class Card:
    item: Item
    source: events.Source
    reason: str = ""
    stars: float | None = None
    reviews: int = 0

    @property
    def url(self) -> str:
        return reverse("storefront:item", args=[self.item.pk]) + sources.query(self.source)

    @property
    def trail(self) -> dict[str, str]:
        return sources.fields(self.source)


@dataclass
class Row:
    """One shelf on a page."""

    name: str
    title: str
    cards: list[Card]
    more_url: str = ""
    more: str = ""
    note: str = ""
    """The reason behind every card, said once."""
    personal: bool = False
    choices: list[tuple[str, str, bool]] = field(default_factory=list)
    """Other ways to fill it: name, address, and whether it is the present one."""

    def __bool__(self) -> bool:
        return bool(self.cards)


@dataclass
class Page:
    """The shelves of one page; no item stands on two of them."""

    rows: list[Row] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)

    def put(self, row: Row) -> Row:
        if row:
            self.rows.append(row)
            self.shown |= {card.item.pk for card in row.cards}
        return row


def row(shelf: serving.Shelf, title: str = "", *, reasons: bool = False, more: str = "", more_url: str = "") -> Row:
    """A services' answer as a row. A reason that all share is said once for the row."""
    said = {entry.reason for entry in shelf.entries} if reasons else set()
    shared = said.pop() if len(said) == 1 else ""
    cards = [
        Card(
            entry.item,
            events.Source(shelf.rec_id, shelf.run_id, shelf.name[:MAX_SHELF], entry.position),
            entry.reason if reasons and not shared else "",
        )
        for entry in shelf.entries
    ]
    return Row(shelf.name, title or shelf.title, cards, more_url, more, shared, personal=shelf.tier in PERSONAL)


def listing(items: Iterable[Item], name: str, first: int = 1) -> list[Card]:
    """Cards of a list that was not recommended: the place in it is still worth knowing."""
    return [
        Card(item, events.Source(shelf=name[:MAX_SHELF], position=place)) for place, item in enumerate(items, first)
    ]


def rate(rows: Iterable[Row | Sequence[Card]]) -> None:
    """Put stars on all cards of a page, in one query."""
    cards = [card for cards in rows for card in (cards.cards if isinstance(cards, Row) else cards)]
    ratings = catalogue.mean_ratings([card.item.pk for card in cards]) if cards else {}
    for card in cards:
        card.stars, card.reviews = ratings.get(card.item.pk, (None, 0))


def home(visitor_id: str, departments: Sequence[Category]) -> list[Row]:
    """The front page's shelves for this visitor, their own first."""
    current = serving.live()
    past = histories.read(visitor_id)
    page = Page()
    recent = recently_viewed(past)
    page.shown |= {card.item.pk for card in recent.cards}
    if past:
        picked = row(
            serving.recommend(visitor_id, SHELF_LENGTH, exclude=page.shown, past=past, current=current), reasons=True
        )
        if picked.personal:  # without a model it would only be the popular shelf by another name
            page.put(picked)
        if recent and not (picked.personal and len(past.known) == 1):  # after one click the picks are that already
            last = recent.cards[0].item
            alike = serving.similar(last.pk, SHELF_LENGTH, exclude=page.shown, current=current)
            page.put(row(alike, f"More like {last.title}"))
    if not 1 < len(departments) <= DEPARTMENTS_ON_HOME:  # else the departments' shelves say it for the whole shop
        page.put(_popular(SHELF_LENGTH, page.shown, current))
    for department in departments[:DEPARTMENTS_ON_HOME]:
        popular = serving.popular(
            SHELF_LENGTH,
            category=department.pk,
            exclude=page.shown,
            current=current,
            name=f"popular-{department.pk}",
            title=f"Popular in {department.name}",
        )
        title = department.name if popular.tier == "catalogue" else ""  # nothing is popular before the first event
        url = reverse("storefront:category", args=[department.pk])
        page.put(row(popular, title, more=f"All in {department.name}", more_url=url))
    page.put(row(serving.newest(SHELF_LENGTH, exclude=page.shown)))
    page.put(recent)
    rate(page.rows)
    return page.rows


def recently_viewed(past: histories.History, exclude: Collection[str] = ()) -> Row:
    """The items a visitor opened last, the latest first."""
    viewed = (
        item_id
        for item_id, kind in zip(reversed(past.item_ids), reversed(past.kinds), strict=True)
        if kind == Event.Kind.VIEW and item_id not in exclude
    )
    items = catalogue.some(list(dict.fromkeys(viewed))[:SHELF_LENGTH])
    return Row("recent", "Recently viewed", listing(items, "recent"))


def suggested(visitor_id: str, exclude: Collection[str] = ()) -> Row:
    """Something to go on with where a page has little of its own to show: picks if anything is known, else popular."""
    found = serving.recommend(visitor_id, SHELF_LENGTH, exclude=exclude)
    chosen = row(found, _title(found), reasons=found.tier in ("model", "content"))
    rate([chosen])
    return chosen


def goes_with(items: Sequence[Item]) -> Row:
    """What is bought together with the first of these that has such company."""
    current = serving.live()
    item_ids = [item.pk for item in items]
    for item in items:
        found = serving.bought_together(item.pk, SHELF_LENGTH, exclude=item_ids, current=current)
        if found:
            company = row(found, f"Often bought with {item.title}")
            rate([company])
            return company
    return Row("together", "", [])


def _popular(n: int, exclude: Collection[str], current: serving.Live) -> Row:
    found = serving.popular(n, exclude=exclude, current=current)
    return row(found, _title(found))


def _title(shelf: serving.Shelf) -> str:
    """Before the first click nothing is popular yet, and the shop does not claim so."""
    return "A look along the shelves" if shelf.tier == "catalogue" else shelf.title
