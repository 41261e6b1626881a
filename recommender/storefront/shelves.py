"""Rows of cards: what the services answer, ready to be drawn, with the trail that the next click carries back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.urls import reverse

from recommender.models import Category, Event, Item
from recommender.services import catalogue, events, serving
from recommender.storefront import sources

SHELF_LENGTH = 12  # cards on one shelf
DEPARTMENTS_ON_HOME = 4  # departments with a shelf of their own on the front page
SHELF_NAME_LENGTH = 32  # Event.shelf


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
    personal: bool = False

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
    """A services' answer as a row."""
    cards = [
        Card(
            entry.item,
            events.Source(shelf.rec_id, shelf.run_id, shelf.name[:SHELF_NAME_LENGTH], entry.position),
            entry.reason if reasons else "",
        )
        for entry in shelf.entries
    ]
    return Row(shelf.name, title or shelf.title, cards, more_url, more, personal=shelf.tier == "model")


def listing(items: Iterable[Item], name: str, first: int = 1) -> list[Card]:
    """Cards of a list that was not recommended: the place in it is still worth knowing."""
    return [
        Card(item, events.Source(shelf=name[:SHELF_NAME_LENGTH], position=place))
        for place, item in enumerate(items, first)
    ]


def rate(rows: Iterable[Row | Sequence[Card]]) -> None:
    """Put stars on all cards of a page, in one query."""
    cards = [card for cards in rows for card in (cards.cards if isinstance(cards, Row) else cards)]
    ratings = catalogue.mean_ratings([card.item.pk for card in cards]) if cards else {}
    for card in cards:
        card.stars, card.reviews = ratings.get(card.item.pk, (None, 0))


def home(visitor_id: str, departments: Sequence[Category], is_guest: bool) -> list[Row]:
    """The front page's shelves for this visitor, their own first."""
    current = serving.live()
    past = serving.history(visitor_id)
    page = Page()
    recent = recently_viewed(past)
    page.shown |= {card.item.pk for card in recent.cards}
    if past:
        title = "Picked for you, from what you just looked at" if is_guest else "Picked for you"
        picked = serving.recommend(visitor_id, SHELF_LENGTH, exclude=page.shown, past=past, current=current)
        if picked.tier == "model":  # without a model it would only be the popular shelf by another name
            page.put(row(picked, title, reasons=True))
        if recent:
            last = recent.cards[0].item
            alike = serving.similar(last.pk, SHELF_LENGTH, exclude=page.shown, current=current)
            page.put(row(alike, f"More like {last.title}"))
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
        url = reverse("storefront:category", args=[department.pk])
        page.put(row(popular, more=f"All {department.name.lower()}", more_url=url))
    page.put(row(serving.newest(SHELF_LENGTH, exclude=page.shown)))
    page.put(recent)
    rate(page.rows)
    return page.rows


def recently_viewed(past: serving.History, exclude: Collection[str] = ()) -> Row:
    """The items a visitor opened last, the latest first."""
    viewed = (
        item_id
        for item_id, kind in zip(reversed(past.item_ids), reversed(past.kinds), strict=True)
        if kind == Event.Kind.VIEW and item_id not in exclude
    )
    items = catalogue.some(list(dict.fromkeys(viewed))[:SHELF_LENGTH])
    return Row("recent", "Recently viewed", listing(items, "recent"))


def popular(n: int = SHELF_LENGTH, exclude: Collection[str] = ()) -> Row:
    """Something to go on with where a page has nothing of its own to show."""
    found = _popular(n, exclude, serving.live())
    rate([found])
    return found


def _popular(n: int, exclude: Collection[str], current: serving.Live) -> Row:
    found = serving.popular(n, exclude=exclude, current=current)
    # Before the first click nothing is popular yet, and the shop does not claim so.
    return row(found, "A look along the shelves" if found.tier == "catalogue" else "")
