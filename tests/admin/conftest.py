"""Staff who look at the console, a small shop, and runs as a training leaves them."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from recommender import tasks
from recommender.conf import conf
from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Interactions
from recommender.engine.evaluation import gate
from recommender.engine.evaluation.protocol import evaluate
from recommender.engine.model import write_model
from recommender.engine.trainers import Options, make_config, trainer
from recommender.models import Category, Event, Item, Order, OrderLine, Picture, Review, Run, Visitor

USERS, ITEMS = 80, 30


@pytest.fixture(autouse=True)
def _static_root(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path / "static"  # WhiteNoise warns where it is missing
    settings.STATIC_ROOT.mkdir()


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("ada", "ada@example.org", "secret")


@pytest.fixture
def console(boss: User) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(boss)
    return client


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """staff("view_run", ...) -> the browser of somebody with these permissions only."""

    def login(*codenames: str) -> Client:
        user = User.objects.create_user("stan", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return login


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runs that a worker was called for; the broker took every call."""
    calls: list[int] = []
    monkeypatch.setattr(tasks, "wake", lambda run_id: calls.append(run_id) or True)
    return calls


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda run_id: False)


@pytest.fixture
def shop(db: None) -> list[Item]:
    """Items with and without a picture, a visitor with events, a review and an order."""
    books = Category.objects.create(slug="books", name="Books")
    items = [
        Item.objects.create(id=f"item-{k}", title=f"Book {k}", category=books, price=Decimal("9.50"), stock=5)
        for k in range(6)
    ]
    Picture.objects.create(item=items[0], file="pictures/none.png", alt="Cover")
    reader = Visitor.objects.create(id="reader", kind="external")
    now = timezone.now()
    for k, item in enumerate(items[:4]):
        Event.objects.create(visitor=reader, item=item, kind="view", occurred_at=now - timedelta(hours=k))
    Review.objects.create(visitor=reader, item=items[0], stars=4, title="Good")
    order = Order.objects.create(id="order-1", visitor=reader, total=Decimal("19.00"))
    OrderLine.objects.create(order=order, item=items[4], quantity=2, unit_price=Decimal("9.50"))
    return items


def interactions(seed: int) -> Interactions:
    """Users who choose from one half of the items each."""
    random = np.random.default_rng(seed)
    rows = np.repeat(np.arange(USERS), 6)
    items = (rows % 2) * (ITEMS // 2) + random.integers(0, ITEMS // 2, len(rows))
    users = Ids.of(f"user-{k}" for k in range(USERS))
    return Interactions.build(users, Ids.of(f"item-{k}" for k in range(ITEMS)), rows, items)


@pytest.fixture(scope="session")
def figures() -> dict[str, Any]:
    """Run.metrics and Run.gate of a real, small training; so these tests notice when their shape changes."""
    history, test = interactions(1), interactions(2)
    reports = {}
    for name in ("als", "popularity"):
        config = make_config(name, {"factors": 4} if name == "als" else {})
        arrays = trainer(name).fit(history, config, Options())
        reports[name] = evaluate(trainer(name).query(arrays, config), history, test)
    metrics = {
        "model": reports["als"].as_json(),
        "popularity": reports["popularity"].as_json(),
        "cutoff": "2026-03-01T10:00:00+00:00",
    }
    return {"metrics": metrics, "gate": gate.judge(reports["als"], reports["popularity"]).as_json()}


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = interactions(1)
    config = make_config("popularity", {})
    arrays = trainer("popularity").fit(data, config, Options())
    return write_model(tmp_path_factory.mktemp("console"), "model", "popularity", config, arrays, data)


@pytest.fixture
def finished(figures: dict[str, Any], artifact: Path, db: None) -> Callable[..., Run]:
    """finished() -> a run that ended well, with figures and an artifact on disk."""

    def finished(status: str = Run.Status.SUCCEEDED, **fields: Any) -> Run:
        now = timezone.now()
        values = {
            "trainer": "als",
            "config": {"factors": 4},
            "options": {"seed": 42, "threads": 1},
            "requested_by": "ada",
            "started_at": now - timedelta(seconds=75),
            "finished_at": now,
            "share_done": 1.0,
            "stage": "write",
            "stages": [
                {"stage": "load", "seconds": 1.25, "peak_mb": 120},
                {"stage": "fit", "seconds": 9, "peak_mb": 300},
            ],
            "counts": {"events": 480, "users": USERS, "items": ITEMS},
            **figures,
            **fields,
        }
        run = Run.objects.create(status=status, **values)
        run.artifact = f"run-{run.pk:06d}"
        run.save()
        shutil.copytree(artifact, conf().artifacts_dir / run.artifact)
        return run

    return finished


def refused_gate() -> dict[str, Any]:
    sentence = "ndcg@10 is 0.0100, worse than recommending what is popular (0.0700)."
    check = {"name": "beats_popularity", "passed": False, "sentence": sentence}
    return {"passed": False, "reasons": [sentence], "checks": [check]}


@pytest.fixture
def running(db: None) -> Run:
    """A run at work for 40 seconds, a quarter done."""
    now = timezone.now()
    return Run.objects.create(
        trainer="als",
        status=Run.Status.RUNNING,
        requested_by="ada",
        started_at=now - timedelta(seconds=40),
        heartbeat_at=now,
        enqueued_at=now - timedelta(seconds=41),
        worker="trainer-1",
        tries=1,
        stage="clean",
        share_done=0.25,
        message="counting",
        stages=[{"stage": "load", "seconds": 12.5, "peak_mb": 200}],
    )
