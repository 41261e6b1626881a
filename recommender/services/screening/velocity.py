"""Rules on how fast: what is above a soft limit is flagged or held, what is above a hard one is refused for a while.

Each question costs one round trip to the cache, or less, and no query. Where the cache is away or holds nonsense,
nothing is flagged, held or refused. Names of rules are those of conf.LIMITS, and so are flags.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256

from django.utils import timezone

from recommender.conf import Limit, conf
from recommender.models import Event
from recommender.services.errors import TooMany
from recommender.services.event_rows import EventRow
from recommender.services.screening import counters
from recommender.services.screening.clients import counted
from recommender.services.screening.counters import Count, Window

MAX_TEXT = 1000  # characters of a name or an address that tell one from another
LIVE = timedelta(minutes=10)  # events posted later than this after they happened are history, not behaviour to limit
# Impressions come by the page, and a purchase's lines all at once.
QUIET = frozenset(map(str, (Event.Kind.IMPRESSION, Event.Kind.PURCHASE)))
# What staff read where a rule was broken.
WORDS = {
    "visitor_events": "too much in a minute",
    "client_events": "too much in a minute from one address",
    "visitor_items": "too many items in an hour",
    "client_items": "too many items in an hour from one address",
    "visitor_cards": "too many cards shown in a minute",
    "visitor_carts": "too many carts in an hour",
    "visitor_reviews": "too many reviews in an hour",
    "client_reviews": "too many reviews in an hour from one address",
    "item_reviews": "too many reviews of one item in an hour",
    "visitor_orders": "too many orders in an hour",
    "client_orders": "too many orders in an hour from one address",
    "address_orders": "too many orders in an hour to one address",
    "card_orders": "too many orders in an hour on one card",
}


def look(visitor: str, client: str, item: str) -> str:
    """An item's page is opened. Returns the flag, empty for none; raises TooMany. As all below."""
    client = counted(client)
    return judge(
        ("visitor_events", visitor, 1, ""),
        ("client_events", client, 1, ""),
        ("visitor_items", visitor, 1, item),
        ("client_items", client, 1, item),
    )


def act(visitor: str, client: str) -> str:
    """A visitor says something of an item: an opinion."""
    return judge(("visitor_events", visitor, 1, ""), ("client_events", counted(client), 1, ""))


def cards(visitor: str, count: int) -> str:
    """A page showed so many cards."""
    return judge(("visitor_cards", visitor, count, "")) if count > 0 else ""


def cart(visitor: str, client: str) -> str:
    """Something is put into a cart."""
    client = counted(client)
    return judge(
        ("visitor_events", visitor, 1, ""), ("client_events", client, 1, ""), ("visitor_carts", visitor, 1, "")
    )


def review(visitor: str, client: str, item: str) -> str:
    """A review is written or changed."""
    return judge(
        ("visitor_reviews", visitor, 1, ""),
        ("client_reviews", counted(client), 1, ""),
        ("item_reviews", item, 1, visitor),  # by different shoppers: one may change the own review
    )


def order(visitor: str, client: str, address: str, payment: str = "") -> str:
    """An order is placed; `payment` is what the payment provider calls the card."""
    return judge(
        ("visitor_orders", visitor, 1, ""),
        ("client_orders", counted(client), 1, ""),
        ("address_orders", plain(address), 1, ""),
        ("card_orders", payment, 1, ""),
    )


def posted(events: Iterable[EventRow]) -> None:
    """Flag the events of an API client that happened just now, by the rhythm of the visitors they tell of."""
    now = timezone.now()
    rows: dict[str, list[EventRow]] = {}
    for event in events:
        if event.kind not in QUIET and now - LIVE <= event.occurred_at:
            rows.setdefault(event.visitor_id, []).append(event)
    rule = _rules().get("visitor_events")
    if not rows or rule is None or rule.soft is None:
        return
    found = counters.count([Count("visitor_events", name, rule.seconds, len(own)) for name, own in rows.items()])
    for window, own in zip(found, rows.values(), strict=True):
        above = int(window.sliding) - rule.soft if window else 0
        for event in own[len(own) - min(above, len(own)) :] if above > 0 else ():
            event.flag = "visitor_events"


def request(key: str, client: str, target: str = "") -> None:
    """An API request with this key, asking for this thing; raises TooMany. Other processes know of it a little later:
    a program asks a hundred times a second, and a round trip for each would cost it more than the limit is worth."""
    name = sha256(key.encode("utf-8", "surrogatepass")).hexdigest() if key else ""
    judge(
        ("key_requests", name, 1, ""),
        ("key_items", name if target else "", 1, target),
        ("client_failures", counted(client), 0, ""),
        count=counters.soon,
    )


def failed(client: str) -> None:
    """An API request was refused or found nothing: counted with the next request, which may be refused for it."""
    rule = _rules().get("client_failures")
    if client and rule:
        counters.defer(Count("client_failures", counted(client), rule.seconds))


def account(client: str) -> None:
    """An account is made; raises TooMany."""
    judge(("client_accounts", counted(client), 1, ""))


def _rules() -> Mapping[str, Limit]:
    guard = conf().guarding
    return guard.rules if guard.on else {}


def counts_of(asked: Iterable[tuple[str, str, int, str]]) -> list[Count]:
    rules = _rules()
    return [Count(rule, key, rules[rule].seconds, by, of) for rule, key, by, of in asked if key and rule in rules]


def judge(
    *asked: tuple[str, str, int, str], count: Callable[[Sequence[Count]], Sequence[Window | None]] | None = None
) -> str:
    """Count (rule, key, by, one of what) each, where there is a key. The flag of the first rule that is broken."""
    rules, flag, wait_s = _rules(), "", 0
    counts = counts_of(asked)
    for one, window in zip(counts, (count or counters.count)(counts), strict=True):
        if window is None:
            continue
        rule = rules[one.rule]
        if rule.hard is not None and window.sliding > rule.hard:
            wait_s = max(wait_s, window.wait_s(rule.hard))
        if rule.soft is not None and window.sliding > rule.soft:
            flag = flag or one.rule
    if wait_s:
        raise TooMany(f"Try again in {_words(wait_s)}.", retry_after_s=wait_s)
    return flag


def _words(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} second{'s' if seconds > 1 else ''}"
    return f"{-(-seconds // 60)} minutes" if seconds < 7200 else f"{-(-seconds // 3600)} hours"


def plain(text: str) -> str:
    """The same for what is meant to be the same: case, width and spaces aside."""
    return " ".join(unicodedata.normalize("NFKC", text[:MAX_TEXT]).casefold().split())
