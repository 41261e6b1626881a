"""Seeding the demo shop: all of it, once, repaired when it was stopped, and never over somebody else's data."""

import json
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db.models import Model
from PIL import Image

from recommender.folio import press
from recommender.folio.catalogue import BOOKS, PRINTS, RECORDS, Product, products
from recommender.models import Category, Event, Item, Order, OrderLine, Picture, Review, Visitor
from recommender.services import catalogue, demo, histories
from recommender.services.errors import InvalidInput, OtherShop, SuperuserExists

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ENDS_AT = datetime(2025, 11, 24, 7, tzinfo=UTC)
TABLES: tuple[type[Model], ...] = (Category, Item, Picture, Visitor, Event, Order, OrderLine, Review)
SMALL = {"ends_at": ENDS_AT, "shopper_count": 80, "event_count": 3000, "files": False}


@pytest.fixture(autouse=True)
def _own_var(settings, tmp_path):
    settings.VAR_DIR = tmp_path


@pytest.fixture(scope="module")
def listed() -> list[Product]:
    return products()[::13]


class Stopped(Exception):
    pass


def stop_at(stage: str, after: int):
    """A progress callback that stops the seeding as Ctrl-C would."""

    def progress(now: str, done: int, total: int, unit: str) -> None:
        if now == stage and done >= after:
            raise Stopped

    return progress


def everything() -> dict[str, list]:
    """The rows of all tables, without numbers that the database gives."""
    return {
        "items": sorted(Item.objects.values_list("id", "title", "price", "stock", "category", "added_at")),
        "visitors": sorted(Visitor.objects.values_list("id", "kind", "created_at")),
        "events": sorted(
            Event.objects.values_list("event_id", "kind", "visitor", "item", "occurred_at", "session"), key=str
        ),
        "orders": sorted(Order.objects.values_list("id", "visitor", "total", "placed_at")),
        "lines": sorted(OrderLine.objects.values_list("order", "item", "quantity", "unit_price")),
        "reviews": sorted(Review.objects.values_list("visitor", "item", "stars", "title", "body", "author_name")),
    }


def test_seed_fills_every_table(listed):
    seeded = demo.seed(products=listed, **SMALL)
    assert seeded.made and seeded.ends_at == ENDS_AT
    assert Item.objects.count() == len(listed)
    assert Visitor.objects.count() == 80
    assert Event.objects.count() > 2000
    assert 0 < Review.objects.count() <= Event.objects.filter(kind="rating").count()
    assert set(Category.objects.filter(parent=None).values_list("slug", flat=True)) == {BOOKS, PRINTS, RECORDS}
    for item in Item.objects.all():
        item.full_clean(exclude=["sound"])
    for review in Review.objects.all():
        review.full_clean(validate_unique=False, validate_constraints=False)


def test_events_are_within_the_year_and_not_in_the_future(listed):
    demo.seed(products=listed, **SMALL)
    moments = Event.objects.values_list("occurred_at", flat=True)
    assert ENDS_AT - timedelta(days=365) <= min(moments) and max(moments) < ENDS_AT
    assert max(Review.objects.values_list("created_at", flat=True)) < ENDS_AT


def test_visitors_came_with_their_first_event(listed):
    demo.seed(products=listed, **SMALL)
    for visitor in Visitor.objects.all():
        assert visitor.created_at <= min(visitor.events.values_list("occurred_at", flat=True))


def test_orders_hold_exactly_what_was_purchased(listed):
    demo.seed(products=listed, **SMALL)
    bought = Event.objects.filter(kind="purchase").values_list("session", "visitor", "item", "value")
    lines = OrderLine.objects.values_list("order", "order__visitor", "item", "quantity")
    assert sorted(bought) == sorted(lines)
    for order in Order.objects.prefetch_related("lines"):
        assert order.total == sum(line.total for line in order.lines.all())


def test_year_ends_now_unless_told_otherwise(listed):
    seeded = demo.seed(products=listed, **SMALL | {"ends_at": None})
    age = datetime.now(UTC) - seeded.ends_at
    assert timedelta(0) <= age <= timedelta(hours=1, minutes=1)


def test_year_cannot_end_in_the_future(listed):
    with pytest.raises(InvalidInput, match="future"):
        demo.seed(products=listed, **SMALL | {"ends_at": datetime.now(UTC) + timedelta(days=1)})
    assert not Item.objects.exists()


def test_second_seeding_changes_nothing_and_says_so(listed):
    demo.seed(products=listed, **SMALL)
    before = everything()
    again = demo.seed(products=listed, **SMALL | {"ends_at": ENDS_AT + timedelta(days=40)})
    assert not again.made and again.ends_at == ENDS_AT
    assert everything() == before


@pytest.mark.parametrize(
    ("stage", "after"),
    [
        ("Simulating a year of shoppers", 0),
        ("Recording events", 1000),
        ("Placing orders", 0),
        ("Filling orders", 50),
        ("Writing reviews", 0),
    ],
)
def test_stopped_seeding_is_repaired(listed, monkeypatch, stage, after):
    """Going on an hour later gives what an undisturbed seeding gives."""
    monkeypatch.setattr(demo, "CHUNK", 250)
    with pytest.raises(Stopped):
        demo.seed(stop_at(stage, after), products=listed, **SMALL)
    assert not demo.ground_truth_path().exists()
    mended = demo.seed(products=listed, **SMALL | {"ends_at": ENDS_AT + timedelta(hours=1)})
    assert mended.made and mended.ends_at == ENDS_AT
    found = everything()
    for table in (Review, OrderLine, Order, Event, Visitor, Picture, Item):
        table._default_manager.all().delete()
    demo.seed(products=listed, **SMALL)
    assert everything() == found


def test_what_staff_changed_stays(listed):
    with pytest.raises(Stopped):
        demo.seed(stop_at("Writing reviews", 0), products=listed, **SMALL)
    Item.objects.filter(pk=listed[0].item_id).update(title="Ours", price=1, added_at=ENDS_AT)
    demo.seed(products=listed, **SMALL)
    item = Item.objects.get(pk=listed[0].item_id)
    assert (item.title, item.price, item.added_at) == ("Ours", 1, ENDS_AT)


def test_ground_truth_is_beside_the_tables_and_names_real_visitors(listed):
    demo.seed(products=listed, **SMALL)
    truth = json.loads(demo.ground_truth_path().read_text())
    assert len(truth) == 4
    assert all(set(entry) == {"kind", "targets"} for entry in truth.values())
    assert Visitor.objects.filter(id__in=truth, kind=Visitor.Kind.EXTERNAL).count() == len(truth)
    ids = {product.item_id for product in listed}
    assert all(set(entry["targets"]) <= ids for entry in truth.values())


def test_ground_truth_of_another_database_does_not_count(listed):
    demo.ground_truth_path().parent.mkdir(parents=True)
    demo.ground_truth_path().write_text("{}")
    assert demo.seed(products=listed, **SMALL).made
    assert json.loads(demo.ground_truth_path().read_text())


@pytest.mark.parametrize("item_id", ["85123A", "same-as-ours"])
def test_another_shop_s_events_are_left_alone(listed, item_id):
    visitor = Visitor.objects.create(id="17850", kind=Visitor.Kind.EXTERNAL)
    item = Item.objects.create(id=listed[0].item_id if item_id == "same-as-ours" else item_id, title="Lantern")
    Event.objects.create(visitor=visitor, item=item, kind="purchase")
    with pytest.raises(OtherShop, match="empty database"):
        demo.seed(products=listed, **SMALL)
    assert Item.objects.count() == 1


def test_reader_can_log_in_and_has_a_history(listed, client):
    demo.seed(products=listed, **SMALL)
    assert client.login(username=demo.READER, password=demo.PASSWORD)
    reader = get_user_model().objects.get(username=demo.READER)
    assert not reader.is_staff and not reader.is_superuser
    assert reader.visitor.kind == Visitor.Kind.ACCOUNT
    assert reader.visitor.events.count() >= 20
    assert histories.read(reader.visitor.pk)


def test_reader_that_was_there_keeps_the_password(listed):
    get_user_model().objects.create_user(demo.READER, password="my own")
    demo.seed(products=listed, **SMALL)
    assert get_user_model().objects.get(username=demo.READER).check_password("my own")


def test_no_staff_login_unless_asked_and_never_a_second_superuser(listed, client):
    demo.seed(products=listed, **SMALL)
    users = get_user_model().objects
    assert not users.filter(is_superuser=True).exists()
    assert demo.create_staff_login().is_superuser
    assert client.login(username=demo.STAFF, password=demo.PASSWORD)
    with pytest.raises(SuperuserExists):
        demo.create_staff_login()


def test_staff_login_does_not_take_over_an_account():
    get_user_model().objects.create_user(demo.STAFF, password="my own")
    with pytest.raises(SuperuserExists):
        demo.create_staff_login()


def test_demo_logins_command_is_idempotent(capsys):
    for _ in range(2):
        call_command("create_demo_logins")
    assert get_user_model().objects.count() == 2
    assert "already" in capsys.readouterr().err


def test_command_tells_what_it_did(listed, monkeypatch, capsys, client):
    small = demo.seed

    def seed(progress, *, ends_at):
        return small(progress, products=listed, **SMALL | {"ends_at": ends_at})

    monkeypatch.setattr(demo, "seed", seed)
    call_command("seed_demo", "--demo-login", "--ends-at", "2025-06-01T12:00:00Z", "--no-progress")
    call_command("seed_demo", "--no-progress")
    said = capsys.readouterr()
    assert "ready" in said.out and "already there" in said.out
    assert not said.err
    assert client.login(username=demo.STAFF, password=demo.PASSWORD)
    assert Event.objects.latest("occurred_at").occurred_at < datetime(2025, 6, 1, 12, tzinfo=UTC)


def test_command_refuses_another_shop_and_a_strange_date():
    visitor = Visitor.objects.create(id="17850", kind=Visitor.Kind.EXTERNAL)
    Event.objects.create(visitor=visitor, item=Item.objects.create(id="85123A", title="Lantern"), kind="purchase")
    with pytest.raises(CommandError, match="another shop"):
        call_command("seed_demo", "--no-progress")
    with pytest.raises(CommandError, match="ends-at"):
        call_command("seed_demo", "--no-progress", "--ends-at", "yesterday")


def few_of_each() -> list[Product]:
    by_department = {
        department: [product for product in products() if product.department == department]
        for department in (BOOKS, PRINTS, RECORDS)
    }
    return [product for group in by_department.values() for product in group[:3]]


def test_pictures_and_sounds_are_real_files_and_shown(settings):
    listed = few_of_each()
    demo.seed(products=listed, **SMALL | {"files": True})
    media = Path(settings.MEDIA_ROOT)
    for item in catalogue.active_items():
        shot = item.pictures.get()
        with Image.open(media / shot.file.name) as image:
            assert min(image.size) >= 400
        assert item.title[:60] in shot.alt
        if item.id.startswith("record"):
            with wave.open(str(media / item.sound.name)) as sound:
                assert sound.getnframes() / sound.getframerate() >= 5
        else:
            assert not item.sound
    assert not list(media.rglob(f"*{press.UNFINISHED}"))


def test_lost_and_half_written_files_are_made_again(settings):
    listed = few_of_each()
    demo.seed(products=listed, **SMALL | {"files": True})
    media = Path(settings.MEDIA_ROOT)
    whole = {path: path.read_bytes() for path in media.rglob("*.*")}
    lost = media / press.picture_name(listed[0])
    lost.unlink()
    (media / press.SOUNDS / f"record-001.wav.99{press.UNFINISHED}").write_bytes(b"RIFF")
    assert not demo.seed(products=listed, **SMALL | {"files": True}).made
    assert {path: path.read_bytes() for path in media.rglob("*.*")} == whole
    assert Picture.objects.count() == len(listed)


def test_many_files_are_made_by_several_processes(tmp_path):
    books = [product for product in products() if product.department == BOOKS][: press.POOL_FROM]
    told: list[tuple[int, int]] = []
    made = press.print_all(books, tmp_path, lambda stage, done, total, unit: told.append((done, total)), workers=2)
    assert made == len(books) and not press.missing(books, tmp_path)
    assert told[0] == (0, made) and told[-1] == (made, made)
    alone = tmp_path / "alone"
    press.print_all(books[:2], alone, demo.quiet)
    assert all(
        (tmp_path / press.picture_name(book)).read_bytes() == (alone / press.picture_name(book)).read_bytes()
        for book in books[:2]
    )
