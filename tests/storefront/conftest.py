"""A small shop, and a model that learned from it."""

import io
import itertools
import wave
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from PIL import Image

from recommender.conf import conf
from recommender.engine.model import write_model
from recommender.engine.trainers import Options
from recommender.engine.trainers.als import AlsConfig, AlsTrainer
from recommender.models import Category, Event, Item, Picture, Run, Visitor
from recommender.services import event_log, publishing


@pytest.fixture
def category() -> Callable[..., Category]:
    def make(slug: str, parent: Category | None = None) -> Category:
        return Category.objects.create(slug=slug, name=slug.capitalize(), parent=parent)

    return make


@pytest.fixture
def item() -> Callable[..., Item]:
    numbers = itertools.count(1)

    def make(item_id: str = "", **values: Any) -> Item:
        number = next(numbers)
        item_id = item_id or f"item-{number:03d}"
        values = {"title": f"Title {number:03d}", "price": Decimal("9.50"), **values}
        return Item.objects.create(id=item_id, **values)

    return make


@pytest.fixture
def shop(category: Callable[..., Category], item: Callable[..., Item]) -> dict[str, list[Item]]:
    """Two departments of 20 items each, one with a shelf below it; the first book has two pictures."""
    books, records = category("books"), category("records")
    poetry = category("poetry", books)
    found = {
        "books": [item(f"book-{n:02d}", category=poetry if n % 2 else books, creator="A. Writer") for n in range(20)],
        "records": [item(f"record-{n:02d}", category=records) for n in range(20)],
    }
    folder = Path(django_settings.MEDIA_ROOT) / "pictures"
    folder.mkdir(parents=True)
    Image.new("RGB", (40, 60), "teal").save(folder / "cover.png")
    for place in (0, 1):
        Picture.objects.create(item=found["books"][0], file="pictures/cover.png", alt=f"View {place}", position=place)
    return found


@pytest.fixture
def sound() -> str:
    """The name of a short recording under MEDIA_ROOT."""
    data = io.BytesIO()
    with wave.open(data, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(8000)
        out.writeframes(bytes(range(200)))
    folder = Path(django_settings.MEDIA_ROOT) / "sounds"
    folder.mkdir(parents=True)
    (folder / "tone.wav").write_bytes(data.getvalue())
    return "sounds/tone.wav"


@pytest.fixture
def live_run(shop: dict[str, list[Item]]) -> Run:
    """A real model, learned from shoppers who buy either books or records, and published."""
    now = timezone.now()
    events = []
    for n in range(40):
        visitor = Visitor.objects.create(id=f"shopper-{n}", kind=Visitor.Kind.EXTERNAL)
        own = shop["books"] if n % 2 else shop["records"]
        for k in range(8):
            moment = now - timedelta(days=1 + k, minutes=n)
            kind = Event.Kind.PURCHASE if k < 3 else Event.Kind.VIEW
            bought = own[(n // 2 + k * (1 + n % 3)) % len(own)]
            events.append(Event(visitor=visitor, item=bought, kind=kind, occurred_at=moment, session=f"basket-{n}"))
    Event.objects.bulk_create(events)
    log = event_log.read()
    data = event_log.interactions(log)
    arrays = AlsTrainer.fit(data, AlsConfig(factors=8, iterations=8), Options(threads=1))
    bought = event_log.purchases(log, data)
    made = write_model(conf().artifacts_dir, "made", "als", AlsConfig(factors=8), arrays, data, purchases=bought)
    run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED, artifact=made.name)
    publishing.publish(run.pk, "For the test.")
    return run


@pytest.fixture
def reader(client: Client) -> Client:
    """A browser that is logged in as an ordinary shopper."""
    user = get_user_model().objects.create_user("reader", "reader@example.com", "folio-reader-1")
    client.force_login(user)
    client.user = user
    return client


@pytest.fixture(autouse=True)
def _static_root(settings: Any, tmp_path: Path) -> None:
    """WhiteNoise warns where `collectstatic` has not run, and warnings are errors here."""
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
