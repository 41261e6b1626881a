"""What a pass of the detectors takes on a generated shop: seconds and memory, by part.

The shop is written into an SQLite file of its own, and screened from its tables to its verdicts, as a shop is. Its
visitors come in visits of about six events, to items of which few are wanted by many; one in fifty is a cheat of a
ring, a scraper or a pump. An order is a visit's purchases, a review half of the ratings.
"""

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management import call_command
from django.db import connections, models, transaction
from django.db.utils import ConnectionHandler
from django.test import override_settings

from recommender.engine.errors import NoData
from recommender.engine.options import Options
from recommender.models import Access, Event, Item, Order, OrderLine, Review, Verdict, Visitor
from recommender.services import event_log, memory
from recommender.services.screening import detection, effects, weighing

EVENTS_EACH, ITEMS_PART = 20, 200  # events per visitor; events per item
VISIT = 6  # events of one visit, about
DAYS, DAY_S, START = 180, 86_400, 1_750_000_000
KINDS, SHARES = ("view", "click", "like", "cart", "purchase", "rating"), (0.6, 0.1, 0.05, 0.09, 0.08, 0.08)
CHEATS, GANG = 0.02, 10  # share of the visitors; members of a ring, who share targets
ACCESS_ROWS = 20_000
CHUNK = 5_000
MIB = 2**20
WORDS = (
    *("a", "the", "it", "was", "this", "good", "poor", "read", "story", "print"),
    *("record", "colour", "paper", "gift", "quick", "slow", "again", "loved", "dull", "bright"),
)


@dataclass(frozen=True)
class Part:
    name: str
    rows: int
    found: int
    seconds: float
    peak_mib: float
    """The most the process held meanwhile."""
    note: str = ""


@dataclass(frozen=True)
class Measured:
    events: int
    start_mib: float
    """Held before anything was read."""
    parts: list[Part]

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts)

    @property
    def peak_mib(self) -> float:
        return max(part.peak_mib for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "seconds": self.seconds, "peak_mib": self.peak_mib}


def measure_screening(events: int, seed: int, threads: int, tell: Callable[[str], None]) -> Measured:
    """Generate a shop of so many events and screen it, all subjects. Nothing of this site is touched."""
    with tempfile.TemporaryDirectory(prefix="recsite-screening-") as folder, _elsewhere(Path(folder)):
        tell(f"Writing a shop of {events:,} events ...")
        _write(events, np.random.default_rng(seed))
        memory.forget_peak()
        start = memory.resident_bytes() / MIB
        parts: list[Part] = []
        reader, options = detection.Reader(), Options(seed=detection.SEED, threads=threads)

        def timed(name: str, work: Callable[[], tuple[int, int, str]]) -> None:
            tell(f"{name} ...")
            memory.forget_peak()
            began = time.perf_counter()
            rows, found, note = work()
            seconds = time.perf_counter() - began
            parts.append(Part(name, rows, found, round(seconds, 2), round(memory.peak_bytes() / MIB), note))

        def judged(name: str) -> tuple[int, int, str]:
            outcome = detection.screen([name], options=options, reader=reader)
            counts = outcome.counts[name]
            return counts["rows"], counts["found"], outcome.failures.get(name) or counts.get("note", "")

        def weighed() -> tuple[int, int, str]:
            log = event_log.read()
            found = weighing.weigh(log)
            kept.append((log, found))
            return len(log), int((found.trust < 1).sum()), found.brake

        def compared() -> tuple[int, int, str]:
            try:
                told = effects.moved(*kept[0], options)
            except NoData as error:
                return 0, 0, error.message
            return told["users"], len(told["items"]), ""

        kept: list[tuple[event_log.EventLog, weighing.Weighed]] = []
        timed("read events", lambda: (len(reader.activity()), 0, ""))
        for name in ("profile", "session", "review", "order", "access"):
            timed(name, lambda name=name: judged(name))  # type: ignore[misc]
        timed("read and weigh", weighed)
        timed("compare rankings", compared)
        return Measured(events, round(start), parts)


@contextmanager
def _elsewhere(folder: Path) -> Iterator[None]:
    """A database and artifacts of its own; the site's stay as they are."""
    handler = ConnectionHandler(
        {
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "shop.sqlite3",
                "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"},
            }
        }
    )
    mine, own = connections["default"], handler["default"]
    connections["default"] = own
    try:
        values = {**settings.RECOMMENDER, "artifacts_dir": folder / "artifacts", "screening": {}}
        with override_settings(RECOMMENDER=values):
            call_command("migrate", verbosity=0)
            yield
    finally:
        own.close()
        connections["default"] = mine


def _write(events: int, rng: np.random.Generator) -> None:
    visitors, items = max(events // EVENTS_EACH, 60), max(events // ITEMS_PART, 30)
    visits = max(events // VISIT, 1)
    owner = rng.integers(visitors, size=visits)
    of = np.sort(rng.integers(visits, size=events))
    begins = START + rng.integers(DAYS * DAY_S, size=visits)
    fame = 1 / np.arange(1, items + 1) ** 0.8
    what = rng.choice(items, events, p=fame / fame.sum())
    kinds = rng.choice(len(KINDS), events, p=SHARES)
    place = np.arange(events) - np.searchsorted(of, of)
    times = begins[of] + place * 20 + rng.integers(1, 60, events)
    stars = rng.choice([1, 2, 3, 4, 5], events, p=[0.05, 0.07, 0.15, 0.35, 0.38])
    # Members of a gang come on the same days, and give five stars to the same few obscure items.
    cheats = rng.choice(visitors, int(CHEATS * visitors), replace=False)
    gang = np.full(visitors, -1)
    gang[cheats] = np.arange(len(cheats)) // GANG
    theirs = gang[owner[of]]
    bad = (theirs >= 0) & (rng.random(events) < 0.5)
    what[bad] = items // 2 + (theirs[bad] * 7 + rng.integers(3, size=int(bad.sum()))) % (items // 2)
    kinds[bad], stars[bad] = KINDS.index("rating"), 5
    times[bad] = START + (theirs[bad] % (DAYS - 3)) * DAY_S + rng.integers(2 * DAY_S, size=int(bad.sum()))

    Visitor.objects.bulk_create((Visitor(id=f"v{row}", kind="external") for row in range(visitors)), CHUNK)
    Item.objects.bulk_create((Item(id=f"i{row}", title=f"Item {row}") for row in range(items)), CHUNK)
    bought = kinds == KINDS.index("purchase")
    rated = kinds == KINDS.index("rating")
    who = owner[of]
    rows = zip(who.tolist(), what.tolist(), kinds.tolist(), stars.tolist(), times.tolist(), of.tolist(), strict=True)
    _insert(
        Event,
        (
            "event_id",
            "kind",
            "visitor_id",
            "item_id",
            "value",
            "occurred_at",
            "received_at",
            "session",
            "shelf",
            "flag",
        ),
        (
            (
                uuid.UUID(int=number + 1).hex,
                KINDS[kind],
                f"v{visitor}",
                f"i{item}",
                float(star) if KINDS[kind] == "rating" else 1.0 if KINDS[kind] == "purchase" else None,
                moment := _moment(at),
                moment,
                f"o{visit}" if KINDS[kind] == "purchase" else "",
                "",
                "",
            )
            for number, (visitor, item, kind, star, at, visit) in enumerate(rows)
        ),
    )
    _write_reviews(rng, np.flatnonzero(rated), who, what, stars, times)
    _write_orders(rng, np.flatnonzero(bought), who, what, of, times)
    minutes = (time.time() // 60 - rng.integers(6 * 1440, size=ACCESS_ROWS)).astype(np.int64) * 60
    Access.objects.bulk_create(
        (
            Access(door="api", who=f"key{row % 50}", client=f"10.0.{row % 200}.1", minute=_aware(at), requests=int(n))
            for row, (at, n) in enumerate(zip(minutes.tolist(), rng.poisson(8, ACCESS_ROWS).tolist(), strict=True))
        ),
        CHUNK,
        ignore_conflicts=True,
    )
    assert not Verdict.objects.exists()


def _write_reviews(rng: np.random.Generator, places: Any, who: Any, what: Any, stars: Any, times: Any) -> None:
    chosen = places[rng.random(len(places)) < 0.5]
    pairs = who[chosen].astype(np.int64) * 10**7 + what[chosen]
    chosen = chosen[np.unique(pairs, return_index=True)[1]]
    words = rng.integers(len(WORDS), size=(len(chosen), 14))
    Review.objects.bulk_create(
        (
            Review(
                visitor_id=f"v{who[at]}",
                item_id=f"i{what[at]}",
                stars=int(stars[at]),
                body=" ".join(WORDS[word] for word in words[row].tolist()),
                created_at=_aware(int(times[at])),
            )
            for row, at in enumerate(chosen.tolist())
        ),
        CHUNK,
    )


def _write_orders(rng: np.random.Generator, places: Any, who: Any, what: Any, of: Any, times: Any) -> None:
    first = places[np.unique(of[places], return_index=True)[1]]
    Order.objects.bulk_create(
        (
            Order(
                id=f"o{of[at]}",
                visitor_id=f"v{who[at]}",
                placed_at=_aware(int(times[at])),
                email=f"v{who[at]}@shop.example",
                address=f"{who[at] % 999} Long Road",
                total=float(total),
            )
            for at, total in zip(first.tolist(), np.round(rng.lognormal(3, 0.6, len(first)), 2).tolist(), strict=True)
        ),
        CHUNK,
    )
    lines = places[np.unique(of[places].astype(np.int64) * 10**7 + what[places], return_index=True)[1]]
    OrderLine.objects.bulk_create(
        (OrderLine(order_id=f"o{of[at]}", item_id=f"i{what[at]}", quantity=1, unit_price=10) for at in lines.tolist()),
        CHUNK,
    )


def _insert(table: type[models.Model], fields: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> None:
    """Rows into a table by SQL: making a model of each of a million takes longer than screening them."""
    names = ", ".join(f'"{name}"' for name in fields)
    marks = ", ".join(["%s"] * len(fields))
    with transaction.atomic(), connections["default"].cursor() as cursor:
        # sqlite3 takes an iterator, which the stubs do not know: so a million rows are never held at once.
        cursor.executemany(f'INSERT INTO "{table._meta.db_table}" ({names}) VALUES ({marks})', rows)  # type: ignore[arg-type]  # noqa: S608


def _moment(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _aware(unix_s: int) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
