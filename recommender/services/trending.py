"""Lists that are the same for everybody, kept in one small file: what is taken up lately, popular, new.

A worker writes it (`refresh`) while things happen. Requests read it from memory and look at the file every few seconds,
so that they need no database for it: with titles and prices of what is popular, it is also what a shop can still show
when the database cannot be read.
"""

import json
import logging
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from django.db import DatabaseError
from django.db.models import Count, Max
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.artifact import open_artifact
from recommender.engine.data.ids import UNKNOWN, Ids
from recommender.engine.data.weighting import EventWeights, weigh
from recommender.engine.errors import RecommenderError
from recommender.engine.ranking.sources import per_category
from recommender.engine.ranking.trends import WINDOW_DAYS
from recommender.engine.ranking.trends import trending as scored
from recommender.models import Event, Item, Run
from recommender.services import catalogue, publishing
from recommender.services.event_log import Microseconds

log = logging.getLogger(__name__)

FILE = "lists.json"  # in the folder `lists` beside the artifacts
FORMAT = 1
LOOK_AGAIN_AFTER_S = 5.0  # seconds until a process looks at the file once more
ANEW_AFTER_S = 3600.0  # seconds after which it is written though nothing happened: events grow old
EVENTS = 200_000  # latest ones that are counted; on a busy shop they reach back less than WINDOW_DAYS
OVERALL, EACH = 300, 60  # items of the list of all, and of each category's
POPULAR, NEWEST, CARDS = 300, 100, 100
ASKED_AT_ONCE = 5_000  # ids in one question to the database

Scored = tuple[list[str], NDArray[np.float32]]


@dataclass(frozen=True)
class StoredCard:
    """What a card shows of an item, as it was when the file was written."""

    item_id: str
    title: str
    creator: str
    price: Decimal | None
    category: str | None
    image: str
    """The picture's name in the media folder; empty for none."""


@dataclass(frozen=True)
class Lists:
    """What the file holds, best first."""

    trending: Mapping[str, Scored]
    """By category, "" for all."""
    popular: Scored
    """With how many chose each."""
    newest: Sequence[str]
    cards: Sequence[StoredCard]


NOTHING: Scored = ([], np.zeros(0, np.float32))
NO_LISTS = Lists({}, NOTHING, [], [])


def trending(category: str | None = None) -> Scored:
    """Ids and scores of what is taken up lately, best first: of all, or of one category or department. Empty where
    nothing happened in the last days."""
    return _lists().trending.get(category or "", NOTHING)


def popular() -> Scored:
    """Ids of what most shoppers chose, and how many did."""
    return _lists().popular


def newest() -> Sequence[str]:
    """Ids of what was added last, the last first."""
    return _lists().newest


def on_disk() -> Sequence[StoredCard]:
    """Popular items with what a card shows, for when no database can be read."""
    return _lists().cards


def refresh(force: bool = False) -> bool:
    """Write the file anew where anything happened since it was written; whether it was. Nothing but a log entry comes
    of a database or a disk that fails: the old lists stay."""
    try:
        return _refresh(force)
    except (DatabaseError, OSError):
        log.exception("What is taken up lately cannot be written; the old lists stay.")
        return False


def forget() -> None:
    """Drop what this process remembers (for tests)."""
    global _known
    _known = _Known()


# Reading


@dataclass(frozen=True)
class _Known:
    """What this process read, from which file, and when it looked last (monotonic seconds)."""

    path: Path | None = None
    stamp: tuple[int, int, int] = (0, 0, 0)
    lists: Lists = NO_LISTS
    looked_at: float = float("-inf")


_known = _Known()


def _lists() -> Lists:
    global _known
    known, now = _known, time.monotonic()
    if now - known.looked_at < LOOK_AGAIN_AFTER_S:
        return known.lists
    path = _path()
    lists, stamp = known.lists if known.path == path else NO_LISTS, (0, 0, 0)
    try:
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        if known.path != path or stamp != known.stamp:
            lists = _read(path.read_bytes())
    except FileNotFoundError:
        lists = NO_LISTS
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError):
        log.exception("%s cannot be read; the lists known before stay.", path)
    _known = _Known(path, stamp, lists, now)
    return lists


def _path() -> Path:
    return conf().artifacts_dir.parent / "lists" / FILE


def _read(text: bytes) -> Lists:
    held = json.loads(text)
    if held["format"] != FORMAT:
        raise ValueError(f"It has format {held['format']!r}; this code reads {FORMAT}.")
    cards = [
        StoredCard(**{**card, "price": None if card["price"] is None else Decimal(card["price"])})
        for card in held["cards"]
    ]
    of_each = {category: _scored(listed) for category, listed in held["trending"].items()}
    return Lists(of_each, _scored(held["popular"]), list(held["newest"]), cards)


def _scored(listed: Sequence[Any]) -> Scored:
    item_ids, scores = listed
    if len(item_ids) != len(scores):
        raise ValueError("A list has other than one score for each item.")
    return list(item_ids), np.array(scores, dtype=np.float32)


# Writing


def _refresh(force: bool) -> bool:
    path, seen = _path(), _seen()
    try:
        held = json.loads(path.read_bytes())
        fresh = held["format"] == FORMAT and 0 <= time.time() - held["made_at"] < ANEW_AFTER_S
        if not force and fresh and held["seen"] == seen:
            return False
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none, or damaged: written anew
    chosen = _popular()
    active = set(Item.objects.filter(pk__in=chosen[0], active=True).values_list("pk", flat=True))
    kept = [(item_id, count) for item_id, count in zip(*chosen, strict=True) if item_id in active]
    newest = list(catalogue.active_items().order_by("-added_at", "id").values_list("pk", flat=True)[:NEWEST])
    written = {
        "format": FORMAT,
        "made_at": time.time(),
        "seen": seen,
        "trending": _trending(),
        "popular": [[item_id for item_id, _ in kept], [count for _, count in kept]],
        "newest": newest,
        "cards": _cards([*[item_id for item_id, _ in kept], *newest]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        with aside.open("w") as file:
            json.dump(written, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return True


def _seen() -> list[Any]:
    """What tells whether anything happened: the newest event, the last change of an item, the run that serves."""
    event = Event.objects.order_by("-id").values_list("id", flat=True).first()
    changed = Item.objects.aggregate(latest=Max("updated_at"))["latest"]
    return [event, changed and changed.isoformat(), publishing.live_run_id()]


def _trending() -> dict[str, list[Any]]:
    """By category, "" for all: ids and scores."""
    weights = EventWeights(by_kind=conf().weights.by_kind, half_life_days=0)  # they age in days here, not in months
    kinds = [kind for kind, weight in weights.by_kind.items() if weight > 0]
    now = timezone.now()
    events = Event.objects.filter(
        kind__in=kinds, flag="", occurred_at__gt=now - timedelta(days=WINDOW_DAYS), occurred_at__lte=now
    ).order_by("-occurred_at")
    columns = events.values_list("item_id", "visitor_id", "kind", "value", Microseconds("occurred_at"))
    rows = list(columns[:EVENTS])
    if not rows:
        return {}
    item_ids, visitor_ids, kind_names, values, moments = zip(*rows, strict=True)
    items, item_rows = Ids.factorize(np.array(item_ids, dtype=object))
    _, visitor_rows = Ids.factorize(np.array(visitor_ids, dtype=object))
    _, kind_rows = Ids.factorize(np.array(kind_names, dtype=object))
    stars = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    times = np.array(moments, dtype=np.int64) // 1_000_000
    at = int(now.timestamp())
    worth = weigh(np.array(kind_names), stars, times, at, weights)
    scores = scored(item_rows, visitor_rows, kind_rows, worth, times, at, len(items))

    slugs: dict[str, int] = {}
    known = items.all
    places, categories = [], []  # of items once for all, once for their category, once for its department
    numbers = {item_id: row for row, item_id in enumerate(known)}
    for item_id, *of in _filed(known):
        for slug in ("", *of):
            if slug is not None:
                places.append(numbers[item_id])
                categories.append(slugs.setdefault(slug, len(slugs)))
    place = np.array(places, dtype=np.int64)
    category = np.where(scores[place] > 0, np.array(categories, dtype=np.int32), UNKNOWN).astype(np.int32)
    names = list(slugs)
    found = {}
    for number, best in per_category(scores[place], category, OVERALL).items():
        rows_of = place[best][: EACH if names[number] else OVERALL]
        found[names[number]] = [[known[row] for row in rows_of.tolist()], scores[rows_of].round(6).tolist()]
    return found


def _filed(item_ids: Sequence[str]) -> Iterable[tuple[str, str | None, str | None]]:
    """Id, category and department of those that are active."""
    for start in range(0, len(item_ids), ASKED_AT_ONCE):
        active = Item.objects.filter(pk__in=item_ids[start : start + ASKED_AT_ONCE], active=True)
        yield from active.values_list("pk", "category_id", "category__parent_id")


def _popular() -> tuple[list[str], list[float]]:
    """By the live run's count, else by the event table."""
    run_id = publishing.live_run_id()
    folder = Run.objects.filter(pk=run_id).values_list("artifact", flat=True).first() if run_id else None
    if folder:
        try:
            arrays = open_artifact(conf().artifacts_dir / folder, verify=False).arrays
            order = arrays["popularity_order"][:POPULAR]
            return Ids(arrays["items"]).ids(order), arrays["popularity"][order].tolist()
        except (RecommenderError, OSError, KeyError):
            log.exception("The artifact of run %s cannot be read; the event table tells what is popular.", run_id)
    kinds = [kind for kind, weight in conf().weights.by_kind.items() if weight > 0]
    counted = Event.objects.filter(kind__in=kinds, flag="").values("item_id")
    rows = counted.annotate(n=Count("visitor_id", distinct=True)).order_by("-n", "item_id")[:POPULAR]
    return [row["item_id"] for row in rows], [float(row["n"]) for row in rows]


def _cards(item_ids: Sequence[str]) -> list[dict[str, Any]]:
    """What cards show of the first CARDS of these that are not sold out."""
    items = {item.pk: item for item in catalogue.with_cards(Item.objects.filter(pk__in=set(item_ids), active=True))}
    found: list[dict[str, Any]] = []
    for item_id in dict.fromkeys(item_ids):
        item = items.get(item_id)
        if item is None or not item.in_stock or len(found) == CARDS:
            continue
        picture = item.first_picture
        found.append(
            {
                "item_id": item.pk,
                "title": item.title,
                "creator": item.creator,
                "price": None if item.price is None else str(item.price),
                "category": item.category_id,
                "image": picture.file.name if picture else "",
            }
        )
    return found
