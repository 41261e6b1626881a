"""Fills an empty shop with Folio: catalogue, pictures, sounds, and a year of simulated shoppers. Safe to call again."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import models, transaction
from django.utils import timezone

from recommender.folio import catalogue, press, reviewers, shoppers
from recommender.folio.catalogue import Product
from recommender.folio.events import KINDS, NO_VISIT, PURCHASE
from recommender.folio.press import Progress
from recommender.folio.shoppers import Year
from recommender.models import Category, Event, Item, Order, OrderLine, Picture, Review, Visitor
from recommender.services import people
from recommender.services.catalogue import touch
from recommender.services.errors import InvalidInput, OtherShop, SuperuserExists

# Ids of demo events are made in this namespace: a second seeding meets them and changes nothing.
NAMESPACE = uuid.UUID("b7c3b6de-8a5c-4c2a-9a3b-0d1f6f0a2e77")
SEED = 2026
CHUNK = 5_000  # rows of one transaction, so that nobody waits long for the database
BATCH = 1_000  # rows of one INSERT
STAFF, READER, PASSWORD = "admin", "reader", "folio-demo"
READER_EVENTS = 90  # about so many make a history worth looking at
RECENT_DAYS = 10  # since the reader's last visit, at most
STREETS = ("Lantern Row", "Quince Lane", "Harbour Street", "Mill Terrace", "Orchard Close", "Station Road", "Fell View")
TOWNS = ("Marlow Cross", "Old Lindow", "Port Avery", "Saltmarsh", "Queensgate", "Windle Fell")  # none is on a map


@dataclass(frozen=True)
class Seeded:
    """What a seeding did."""

    made: bool
    """False when everything was already there."""
    ends_at: datetime
    counts: dict[str, int]


def quiet(stage: str, done: int, total: int, unit: str) -> None:
    pass


def ground_truth_path() -> Path:
    """{visitor id: {kind, targets}} of the planted cheats: outside the tables, and written last, as the mark of a
    seeding that came to its end."""
    return Path(settings.VAR_DIR) / "folio" / "ground_truth.json"


def seed(
    progress: Progress = quiet,
    *,
    ends_at: datetime | None = None,
    products: Sequence[Product] | None = None,
    shopper_count: int = shoppers.SHOPPERS,
    event_count: int = shoppers.EVENTS,
    files: bool = True,
    workers: int | None = None,
) -> Seeded:
    """Put Folio into the shop, or finish what a stopped seeding began; the same arguments always make the same shop.

    The simulated year ends at `ends_at`, by default the last full hour; a stopped seeding goes on with the moment that
    it began with. What staff changed meanwhile stays as they left it. Raises OtherShop, InvalidInput.
    """
    listed = list(products) if products is not None else catalogue.products()
    begun_for = _begun_for(listed)
    if begun_for is None and Event.objects.exists():
        raise OtherShop("Seed an empty database: choose another DATABASE_URL or RECSITE_VAR, or remove the old one.")
    now = timezone.now()
    end = begun_for or (ends_at or now.replace(minute=0, second=0)).replace(microsecond=0)
    if end > now:
        raise InvalidInput(f"The simulated year cannot end in the future ({end:%Y-%m-%d %H:%M %Z}).")
    if files:
        press.print_all(listed, Path(settings.MEDIA_ROOT), progress, workers)
    if begun_for and ground_truth_path().exists():
        return Seeded(False, end, _counts())
    ground_truth_path().unlink(missing_ok=True)  # of an earlier database
    _write_catalogue(listed, end, files)
    progress("Simulating a year of shoppers", 0, 1, "year")
    year = shoppers.simulate(listed, end, SEED, shopper_count, event_count)
    progress("Simulating a year of shoppers", 1, 1, "year")
    visitor_ids = _write_visitors(year, listed, end)
    orders = _order_ids(year)
    _write("Recording events", _events(year, listed, visitor_ids, orders), len(year.events), progress)
    _write_orders(year, listed, visitor_ids, orders, progress)
    _write("Writing reviews", _reviews(year, listed, visitor_ids), len(year.reviews), progress)
    _write_ground_truth(year)
    return Seeded(True, end, _counts())


def create_staff_login() -> User:
    """The staff account `admin`, whose password everybody knows: for demos on one machine. Raises SuperuserExists."""
    users = get_user_model().objects
    if users.filter(models.Q(is_superuser=True) | models.Q(username=STAFF)).exists():
        raise SuperuserExists("Log in with it, or make another with manage.py createsuperuser.")
    return users.create_superuser(STAFF, "", PASSWORD)


def create_reader_login(name: str = "Robin Reader") -> User:
    """The demo shopper's account; one that is already there stays as it is, password included."""
    first, last = name.split(" ", 1)
    user, made = get_user_model().objects.get_or_create(
        username=READER, defaults={"first_name": first, "last_name": last}
    )
    if made:
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
    return user


def _begun_for(listed: Sequence[Product]) -> datetime | None:
    """The end of the year that an earlier seeding chose, read from when its items were added; None without one.

    The commonest answer counts, as staff may have changed some; it has to be most items', as another shop may have an
    item of the same id.
    """
    age = {product.item_id: timedelta(days=product.added_days) for product in listed}
    added = Item.objects.filter(id__in=list(age)).values_list("id", "added_at")
    ends = Counter((moment + age[item_id] + timedelta(seconds=0.5)).replace(microsecond=0) for item_id, moment in added)
    end, agreed = ends.most_common(1)[0] if ends else (None, 0)
    return end.astimezone(UTC) if end and agreed > len(listed) / 2 else None


@transaction.atomic
def _write_catalogue(listed: Sequence[Product], end: datetime, files: bool) -> None:
    categories = catalogue.categories(list(listed))
    for top in (True, False):  # parents first
        rows = [
            Category(slug=found.slug, name=found.name, parent_id=found.parent, position=found.position)
            for found in categories
            if (found.parent is None) == top
        ]
        Category.objects.bulk_create(rows, ignore_conflicts=True)
    Item.objects.bulk_create(
        [
            Item(
                id=product.item_id,
                title=product.title,
                creator=product.creator,
                description=product.description,
                category_id=product.category,
                price=product.price,
                stock=product.stock,
                sound=press.sound_name(product) if files else "",
                attributes=product.attributes,
                added_at=end - timedelta(days=product.added_days),
            )
            for product in listed
        ],
        batch_size=BATCH,
        ignore_conflicts=True,
    )
    if files:
        pictured = set(Picture.objects.values_list("item_id", flat=True))
        bare = [product for product in listed if product.item_id not in pictured]
        Picture.objects.bulk_create(
            Picture(item_id=product.item_id, file=press.picture_name(product), alt=press.alt_text(product)[:200])
            for product in bare
        )
        touch(Item.objects.filter(pk__in=[product.item_id for product in bare]))


@transaction.atomic
def _write_visitors(year: Year, listed: Sequence[Product], end: datetime) -> list[str]:
    """The shoppers' rows, since their first event; returns each shopper's visitor id. One is the reader's account."""
    ids = list(year.visitor_ids)
    row = _reader(year, listed, end)
    ids[row] = people.ensure_for_account(create_reader_login(year.names[row])).pk
    first = np.full(len(ids), int(end.timestamp()), dtype=np.int64)
    np.minimum.at(first, year.events.shopper, year.events.time_s)
    rows = [
        Visitor(id=visitor_id, kind=people.kind_of(visitor_id), created_at=_moment(since))
        for visitor_id, since in zip(ids, first.tolist(), strict=True)
    ]
    made = [visitor for visitor in rows if visitor.kind == Visitor.Kind.EXTERNAL]
    since_of = {visitor.pk: visitor.created_at for visitor in rows}
    Visitor.objects.bulk_create(made, batch_size=BATCH, ignore_conflicts=True)
    for visitor in rows:
        visitor.created_at = since_of[visitor.pk]  # inserting stamps the present
    Visitor.objects.bulk_update(rows, ["created_at"], batch_size=400)
    return ids


def _reader(year: Year, listed: Sequence[Product], end: datetime) -> int:
    """The honest shopper whose history shows most: long enough, recent, with purchases, in all departments."""
    events = year.events
    honest = [visitor_id not in year.cheats for visitor_id in year.visitor_ids]
    counts = np.bincount(events.shopper, minlength=len(honest))
    bought = np.bincount(events.shopper[events.kind == PURCHASE], minlength=len(honest))
    latest = np.zeros(len(honest), dtype=np.int64)
    np.maximum.at(latest, events.shopper, events.time_s)
    departments = np.array([catalogue.DEPARTMENTS.index(product.department) for product in listed])
    seen = np.zeros((len(honest), len(catalogue.DEPARTMENTS)), dtype=bool)
    seen[events.shopper, departments[events.item]] = True
    recent = latest > int(end.timestamp()) - RECENT_DAYS * 86_400
    worth = 2.0 * recent + 1.0 * (bought >= 5) + seen.sum(axis=1) - np.abs(counts - READER_EVENTS) / READER_EVENTS
    return int(np.argmax(np.where(honest, worth, -np.inf)))


def _order_ids(year: Year) -> dict[int, str]:
    """{visit: order id} of the visits that ended at the till, numbered in time order."""
    bought = year.events.take(year.events.kind == PURCHASE)
    first: dict[int, int] = {}
    for visit, time_s in zip(bought.visit.tolist(), bought.time_s.tolist(), strict=True):
        first.setdefault(visit, time_s)
    return {visit: f"{_moment(time_s):%y%m%d}-{n:05d}" for n, (visit, time_s) in enumerate(first.items(), 1)}


def _events(
    year: Year, listed: Sequence[Product], visitor_ids: Sequence[str], orders: dict[int, str]
) -> Iterator[Event]:
    events = year.events
    columns = (events.kind, events.shopper, events.item, events.value, events.time_s, events.visit)
    for n, (kind, shopper, item, value, time_s, visit) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        moment = _moment(time_s)
        visit_id = "" if visit == NO_VISIT else f"visit-{visit:06d}"
        yield Event(
            event_id=uuid.uuid5(NAMESPACE, f"{SEED}/{n}"),
            kind=KINDS[kind],
            visitor_id=visitor_ids[shopper],
            item_id=listed[item].item_id,
            value=None if np.isnan(value) else value,
            occurred_at=moment,
            received_at=moment,
            session=orders[visit] if kind == PURCHASE else visit_id,
        )


def _write_orders(
    year: Year, listed: Sequence[Product], visitor_ids: Sequence[str], orders: dict[int, str], progress: Progress
) -> None:
    bought = year.events.take(year.events.kind == PURCHASE)
    placed: dict[str, Order] = {}
    lines: list[OrderLine] = []
    columns = (bought.visit, bought.shopper, bought.item, bought.value, bought.time_s)
    for visit, shopper, item, pieces, time_s in zip(*(column.tolist() for column in columns), strict=True):
        order_id, product = orders[visit], listed[item]
        if order_id not in placed:
            placed[order_id] = Order(
                id=order_id,
                visitor_id=visitor_ids[shopper],
                placed_at=_moment(time_s),
                name=year.names[shopper],
                email=f"{year.names[shopper].replace(' ', '.').lower()}@example.org",
                address=f"{shopper % 97 + 1} {STREETS[shopper % len(STREETS)]}\n{TOWNS[shopper % len(TOWNS)]}",
                total=Decimal(0),
            )
        placed[order_id].total += product.price * int(pieces)
        lines.append(
            OrderLine(order_id=order_id, item_id=product.item_id, quantity=int(pieces), unit_price=product.price)
        )
    _write("Placing orders", placed.values(), len(placed), progress)
    _write("Filling orders", lines, len(lines), progress)


def _reviews(year: Year, listed: Sequence[Product], visitor_ids: Sequence[str]) -> Iterator[Review]:
    for review in year.reviews:
        yield Review(
            visitor_id=visitor_ids[review.shopper],
            item_id=listed[review.item].item_id,
            stars=review.stars,
            title=review.title,
            body=review.body,
            author_name=reviewers.signature(year.names[review.shopper], review.shopper),
            created_at=_moment(review.time_s),
        )


def _write(stage: str, rows: Iterable[models.Model], total: int, progress: Progress) -> None:
    """Insert rows of one table in short transactions; those that are already there stay as they are."""
    progress(stage, 0, total, "row")
    done, chunk = 0, list[models.Model]()
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK or done + len(chunk) == total:
            with transaction.atomic():
                type(row)._default_manager.bulk_create(chunk, batch_size=BATCH, ignore_conflicts=True)
            done += len(chunk)
            chunk = []
            progress(stage, done, total, "row")


def _write_ground_truth(year: Year) -> None:
    truth = {visitor_id: {"kind": cheat.kind, "targets": cheat.targets} for visitor_id, cheat in year.cheats.items()}
    path = ground_truth_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def _counts() -> dict[str, int]:
    tables: tuple[type[models.Model], ...] = (Item, Picture, Visitor, Event, Order, Review)
    return {str(table._meta.verbose_name_plural): table._default_manager.count() for table in tables}


def _moment(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
