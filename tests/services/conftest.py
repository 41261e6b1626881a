"""A small shop whose shoppers like either the sea or the mountains, and a model that learned it, trained once."""

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection
from PIL import Image

from recommender.conf import conf
from recommender.engine.encoders import ENCODERS
from recommender.engine.encoders.text.hashing import Hashing
from recommender.engine.model import write_model
from recommender.engine.trainers import Options, make_config, trainer
from recommender.engine.trainers.als import AlsTrainer
from recommender.models import Category, Encoding, Event, Item, Picture, Run, Visitor
from recommender.services import event_log, people, publishing, run_monitor, training
from recommender.services.content import encoding

PER_GROUP = 10  # items, and about as many shoppers
START = datetime(2026, 1, 5, 12, tzinfo=UTC)
SEA, HILL = "sea", "hill"
RED, BLUE = (200, 30, 30), (30, 30, 200)
SMALL = {"factors": 8, "iterations": 5}  # ALS in a moment


def item_ids(group: str) -> list[str]:
    return [f"{group}-{number:02d}" for number in range(PER_GROUP)]


def purchases() -> Iterator[tuple[str, str, datetime, str]]:
    """(visitor, item, time, session): each shopper buys four neighbouring items of one group in one visit."""
    for number in range(3 * PER_GROUP):
        for group in (SEA, HILL):
            visitor = f"{group}-fan-{number}"
            for step in range(4):
                item_id = f"{group}-{(number + step) % PER_GROUP:02d}"
                yield visitor, item_id, START + timedelta(hours=number, minutes=step), f"visit of {visitor}"


@pytest.fixture
def items(db: None) -> dict[str, Item]:
    """The shop's items: a category `sea` below `nature`, and `hill`, each with ten things that cost 10.00."""
    nature = Category.objects.create(slug="nature", name="Nature")
    Category.objects.create(slug=SEA, name="Sea", parent=nature)
    Category.objects.create(slug=HILL, name="Hills")
    rows = [
        Item(id=item_id, title=f"{group.capitalize()} {item_id[-2:]}", category_id=group, price=Decimal(10))
        for group in (SEA, HILL)
        for item_id in item_ids(group)
    ]
    Item.objects.bulk_create(rows)
    return {row.id: row for row in rows}


@pytest.fixture
def shop(items: dict[str, Item]) -> dict[str, Item]:
    """The items and what sixty shoppers bought of them."""
    rows = list(purchases())
    Visitor.objects.bulk_create([Visitor(id=name, kind="external") for name in sorted({row[0] for row in rows})])
    Event.objects.bulk_create(
        Event(kind="purchase", visitor_id=visitor, item_id=item_id, occurred_at=at, session=session)
        for visitor, item_id, at, session in rows
    )
    return items


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that learned `purchases` by ALS, made once and without a database."""
    visitors, bought, moments, sessions = (np.array(column, dtype=object) for column in zip(*purchases(), strict=True))
    times = np.array([int(moment.timestamp()) for moment in moments], dtype=np.int64)
    kinds = np.full(len(times), "purchase", dtype=object)
    log = event_log.EventLog(visitors, bought, kinds, np.full(len(times), np.nan), times, sessions)
    data = event_log.interactions(log)
    config = make_config("als", {"factors": 8})
    learned = trainer("als").fit(data, config, Options(threads=1))
    root = tmp_path_factory.mktemp("trained")
    return write_model(root, "model", "als", config, learned, data, purchases=event_log.purchases(log, data))


@pytest.fixture
def finished(trained: Path, db: None) -> Callable[..., Run]:
    """finished() -> a run that ended well, with an artifact of its own that was never published."""

    def finished(status: str = Run.Status.SUCCEEDED, **fields: Any) -> Run:
        run = Run.objects.create(trainer="als", status=status, **fields)
        run.artifact = f"run-{run.pk}"
        run.save()
        shutil.copytree(trained, conf().artifacts_dir / run.artifact)
        return run

    return finished


@pytest.fixture
def live(shop: dict[str, Item], finished: Callable[..., Run]) -> Run:
    """The shop with the model that serves it."""
    run = finished()
    publishing.publish(run.pk, "for the tests")
    return run


@pytest.fixture
def guest(db: None) -> Visitor:
    return people.ensure(people.new_guest_id())


@pytest.fixture
def account(db: None) -> Visitor:
    return people.ensure_for_account(User.objects.create_user("ada"))


@pytest.fixture
def quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs report at every occasion."""
    monkeypatch.setattr(run_monitor, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(run_monitor, "SAMPLE_S", 0.02)
    monkeypatch.setattr(run_monitor, "WRITE_EVERY_S", 0.0)


@pytest.fixture
def no_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs without the thread that writes on a connection of its own: quicker, and within the test's transaction."""
    monkeypatch.setattr(run_monitor.RunMonitor, "_beat", lambda monitor: None)


@pytest.fixture
def seen(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are encoded too, by their mean colours."""
    monkeypatch.setitem(ENCODERS["image"], "colours", "tests.services.encoders.MeanColourEncoder")
    on = {"text": {"name": "hashing"}, "image": {"name": "colours"}, "audio": None}
    settings.RECOMMENDER = {**settings.RECOMMENDER, "encoders": on}


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that is encoded from here on."""
    told: list[str] = []
    real = Hashing.encode

    def encode(self: Hashing, inputs: Any) -> Any:
        told.extend(inputs)
        return real(self, inputs)

    monkeypatch.setattr(Hashing, "encode", encode)
    return told


def encoded(everything: bool = False, **asked: Any) -> Encoding:
    row = encoding.run(encoding.request(everything, **asked).pk)
    assert row is not None
    return row


def picture(item: Item, colour: tuple[int, int, int] = RED, data: bytes | None = None) -> Picture:
    if data is None:
        file = BytesIO()
        Image.new("RGB", (24, 24), colour).save(file, "PNG")
        data = file.getvalue()
    made = Picture(item=item)
    made.file.save("picture.png", ContentFile(data))
    return made


@pytest.fixture
def conduct(monkeypatch):
    """conduct(function) has ALS call `function(options)` in the midst of a run, and learn `vectors` if given."""
    real = AlsTrainer.fit

    def conduct(function=lambda options: None, vectors=None):
        def fit(data, config, options):
            function(options)
            learned = real(data, config, options)
            return learned if vectors is None else {**learned, "item_vectors": vectors}

        monkeypatch.setattr(AlsTrainer, "fit", staticmethod(fit))

    return conduct


def carried_out(trainer_name: str = "als", config=None, **options) -> Run:
    queued = training.request(trainer_name, SMALL if config is None and trainer_name == "als" else config, **options)
    run = training.run(queued.pk)
    assert run is not None and not run.is_active
    return run


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Run the functions at the same moment, each on a connection of its own; what each returned or raised."""
    start, results = threading.Barrier(len(work)), [None] * len(work)

    def one(place: int, function: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            start.wait(10)
            results[place] = function()
        except Exception as error:
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=pair) for pair in enumerate(work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results
