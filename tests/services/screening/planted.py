"""Detectors that find what a test says, in a shop where some visitors push an item that nobody else wants."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from recommender.engine.anomaly.found import NO_GROUP, Features, Found
from recommender.engine.data.activity import Activity
from recommender.engine.errors import NoData
from recommender.models import Event, Visitor
from tests.services.conftest import START

PUSHED, PUSHERS = "hill-09", [f"pusher-{number}" for number in range(12)]


def push() -> None:
    """Twelve visitors buy what most shoppers buy, and the pushed item with it, twice."""
    Visitor.objects.bulk_create(Visitor(id=name, kind="external") for name in PUSHERS)
    Event.objects.bulk_create(
        Event(
            kind="purchase", visitor_id=name, item_id=item_id, occurred_at=START + timedelta(hours=number, minutes=step)
        )
        for number, name in enumerate(PUSHERS)
        for step, item_id in enumerate(["sea-00", "sea-01", "sea-02", "sea-03", PUSHED, PUSHED])
    )


def by_visitor(probabilities: Mapping[str, float], kind: str = "push", group: int = 7) -> Callable[..., Found]:
    """A finder of profiles that says so of these visitors and 0.01 of others."""

    def find(columns: Activity, options: Any, known: Any = None) -> Found:
        ids = columns.visitors.all
        p = np.array([probabilities.get(name, 0.01) for name in ids])
        counts = np.bincount(columns.visitor_rows, minlength=len(ids)).astype(np.float32)
        bad = np.flatnonzero(p >= 0.5).tolist()
        return Found(
            Features(ids, ("events", "oddness"), np.stack([counts, p.astype(np.float32)], axis=1)),
            p,
            np.stack([np.zeros(len(ids)), p], axis=1).astype(np.float32),
            [kind if row in bad else "" for row in range(len(ids))],
            reasons={row: [f"Bought the same as {len(bad) - 1} others."] for row in bad},
            targets={row: [PUSHED] for row in bad},
            groups=np.array([group if row in bad else NO_GROUP for row in range(len(ids))]),
            arrays={"middle": np.array([float(np.median(counts))])},
            detector="planted",
        )

    return find


def nothing(columns: Any, options: Any, known: Any = None) -> Found:
    raise NoData("Too few.")


def broken(columns: Any, options: Any, known: Any = None) -> Found:
    raise ZeroDivisionError("no rows")
