"""Rows of cards: what the services answer, ready to be drawn, with the trail that the next click carries back."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from django.urls import reverse

from recommender.models import Category, Event, Item
from recommender.services import catalogue, controls, events, histories, serving
from recommender.services.event_fields import MAX_SHELF
from recommender.storefront import sources

SHELF_LENGTH = 12  # cards on one shelf
PERSONAL = ("model", "segment", "content")  # the tiers that look at what the visitor did
FEWEST_TRENDS = 4  # cards of the trending shelf; fewer are no trend
DEPARTMENTS_ON_HOME = 4  # departments with a shelf of their own on the front page


@dataclass
class Card:
    item: Item
    source: events.Source
    reason: str = ""
    stars: float | None = None
    reviews: int = 0
    origin: str = ""
    """Where the recommendation came from: one of engine.ranking.sources.SOURCES, or a tier; empty for none."""
    chance: float | None = None
    """The probability with which it was drawn to learn what else is liked."""

    @property
    def why(self) -> str:
        """Where it is said why it stands here; nothing where that is no recommendation."""
        if not self.origin:
            return ""
        drawn = {} if self.chance is None else {"chance": f"{self.chance:.4f}"}
        said = {**self.trail, "origin": self.origin, **drawn}
        return f"{reverse('storefront:why', args=[self.item.pk])}?{urlencode(said)}"

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
    answer: serving.Shelf | None = None
    """What it was made of; None for what was not recommended."""
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
            origin=entry.source or shelf.tier,
            chance=entry.chance,
        )
        for entry in shelf.entries
    ]
    return Row(shelf.name, title or shelf.title, cards, more_url, more, shared, shelf.tier in PERSONAL, shelf)


def listing(items: Iterable[Item], name: str, first: int = 1) -> list[Card]:
    """Cards of a list that was not recommended: the place in it is still worth knowing."""
    return [
        Card(item, events.Source(shelf=name[:MAX_SHELF], position=place)) for place, item in enumerate(items, first)
    ]


def rate(rows: Iterable[Row | Sequence[Card]]) -> None:
    """Put stars on all cards of a page, in one query, where they did not come with the items."""
    cards = [card for cards in rows for card in (cards.cards if isinstance(cards, Row) else cards)]
    without = [card.item.pk for card in cards if not hasattr(card.item, "review_count")]
    ratings = catalogue.mean_ratings(without) if without else {}
    for card in cards:
        known = getattr(card.item, "mean_stars", None), getattr(card.item, "review_count", 0)
        card.stars, card.reviews = ratings.get(card.item.pk, known)


def home(visitor_id: str, departments: Sequence[Category], wishes: controls.Controls | None = None) -> list[Row]:
    """The front page's shelves for this visitor, their own first. `wishes` are theirs, if the caller has them."""
    wishes = controls.read(visitor_id) if wishes is None else wishes
    current = serving.live(visitor_id if wishes.personalised else None)
    past = histories.read(visitor_id, wishes)
    page = Page()

    def terms(shelf: str) -> serving.Terms:
        return replace(serving.terms_of(visitor_id, shelf, wishes), stars=True)

    recent = recently_viewed(past)
    page.shown |= {card.item.pk for card in recent.cards} | past.disliked
    if past:
        picked = row(
            serving.recommend(
                visitor_id,
                SHELF_LENGTH,
                exclude=page.shown,
                past=past,
                wishes=wishes,
                current=current,
                note=False,
                stars=True,
            ),
            reasons=True,
        )
        if picked.personal:  # without a model it would only be the popular shelf by another name
            page.put(picked)
        if recent and not (picked.personal and len(past.known) == 1):  # after one click the picks are that already
            last = recent.cards[0].item
            alike = serving.similar(last.pk, SHELF_LENGTH, exclude=page.shown, current=current, terms=terms("similar"))
            page.put(row(alike, f"More like {last.title}"))
    if not 1 < len(departments) <= DEPARTMENTS_ON_HOME:  # else the departments' shelves say it for the whole shop
        page.put(_popular(SHELF_LENGTH, page.shown, current, terms("popular")))
    for department in departments[:DEPARTMENTS_ON_HOME]:
        popular = serving.popular(
            SHELF_LENGTH,
            category=department.pk,
            exclude=page.shown,
            current=current,
            name=f"popular-{department.pk}",
            title=f"Popular in {department.name}",
            terms=terms(f"popular-{department.pk}"),
        )
        title = department.name if popular.tier == "catalogue" else ""  # nothing is popular before the first event
        url = reverse("storefront:category", args=[department.pk])
        page.put(row(popular, title, more=f"All in {department.name}", more_url=url))
    trends = row(serving.trends(SHELF_LENGTH, exclude=page.shown, terms=terms("trending")))
    if len(trends.cards) >= FEWEST_TRENDS:
        page.put(trends)
    page.put(row(serving.newest(SHELF_LENGTH, exclude=page.shown, terms=terms("new"))))
    page.put(recent)
    rate(page.rows)
    note(page.rows, visitor_id, wishes)
    return page.rows


def note(rows: Iterable[Row], visitor_id: str, wishes: controls.Controls) -> None:
    """Write down what a page shows this visitor, so that it can be told what became of it."""
    for row in rows:
        if row.answer is not None:
            serving.noted(visitor_id, row.answer, wishes)


def recently_viewed(past: histories.History, exclude: Collection[str] = ()) -> Row:
    """The items a visitor opened last, the latest first."""
    viewed = (
        item_id
        for item_id, kind in zip(reversed(past.item_ids), reversed(past.kinds), strict=True)
        if kind == Event.Kind.VIEW and item_id not in exclude
    )
    wanted = list(dict.fromkeys(viewed))[:SHELF_LENGTH]
    there = serving.read(wanted, stars=True)
    items = [there[item_id] for item_id in wanted if item_id in there and there[item_id].active]
    return Row("recent", "Recently viewed", listing(items, "recent"))


def suggested(visitor_id: str, exclude: Collection[str] = ()) -> Row:
    """Something to go on with where a page has little of its own to show: picks if anything is known, else popular."""
    found = serving.recommend(visitor_id, SHELF_LENGTH, exclude=exclude, stars=True)
    chosen = row(found, _title(found), reasons=found.tier in ("model", "content"))
    rate([chosen])
    return chosen


def unwanted(visitor_id: str, wishes: controls.Controls) -> list[str]:
    """Items that a visitor disliked: on no shelf of theirs."""
    return controls.disliked(visitor_id, wishes) if wishes.personalised else []


def goes_with(items: Sequence[Item], visitor_id: str, wishes: controls.Controls) -> Row:
    """What is bought together with the first of these that has such company."""
    current, terms = serving.live(), serving.terms_of(visitor_id, "together", wishes)
    item_ids = [*(item.pk for item in items), *(unwanted(visitor_id, wishes) if items else ())]
    for item in items:
        found = serving.bought_together(item.pk, SHELF_LENGTH, exclude=item_ids, current=current, terms=terms)
        if found:
            company = row(found, f"Often bought with {item.title}")
            rate([company])
            return company
    return Row("together", "", [])


def _popular(n: int, exclude: Collection[str], current: serving.Live, terms: serving.Terms) -> Row:
    found = serving.popular(n, exclude=exclude, current=current, terms=terms)
    return row(found, _title(found))


def _title(shelf: serving.Shelf) -> str:
    """Before the first click nothing is popular yet, and the shop does not claim so."""
    return "A look along the shelves" if shelf.tier == "catalogue" else shelf.title
