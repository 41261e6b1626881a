"""Answers and what visitors did with them, put into the tables as if it had happened."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from recommender.models import Answer, Event, Experiment, Variant, Visitor


def ago(**span: float) -> datetime:
    return timezone.now() - timedelta(**span)


def show(visitor_id: str, items: Sequence[str], at: datetime | None = None, **more: Any) -> Answer:
    """An answer that showed these items."""
    more = {"tier": "model", "shelf": "for-you", **more}
    return Answer.objects.create(
        rec_id=uuid.uuid4(), visitor_id=visitor_id, items=list(items), at=at or timezone.now(), **more
    )


def shown_to_many(count: int, hits: int, items: Sequence[str], name: str, at: datetime, **more: Any) -> None:
    """An answer for each of so many visitors, of whom the first ones click on its first item a minute later."""
    more = {"tier": "model", "shelf": "for-you", **more}
    names = [f"{name}-{number}" for number in range(count)]
    Visitor.objects.bulk_create([Visitor(id=one, kind="external") for one in names[:hits]], ignore_conflicts=True)
    rows = [Answer(rec_id=uuid.uuid4(), visitor_id=one, items=list(items), at=at, **more) for one in names]
    Answer.objects.bulk_create(rows)
    Event.objects.bulk_create(
        Event(
            kind="click",
            visitor_id=row.visitor_id,
            item_id=items[0],
            rec_id=row.rec_id,
            occurred_at=at + timedelta(minutes=1),
        )
        for row in rows[:hits]
    )


def did(kind: str, visitor_id: str, item_id: str, answer: Answer | None = None, **more: Any) -> Event:
    Visitor.objects.get_or_create(id=visitor_id, defaults={"kind": "external"})
    rec_id = answer.rec_id if answer else None
    return Event.objects.create(kind=kind, visitor_id=visitor_id, item_id=item_id, rec_id=rec_id, **more)


def experiment(name: str = "trial", variants: int = 2, **more: Any) -> tuple[Experiment, list[Variant]]:
    """An experiment with a control `a` and others that serve more alike."""
    one = Experiment.objects.create(name=name, **more)
    rows = [
        Variant.objects.create(
            experiment=one, name=name, control=not place, settings={"diversity": 0.1 * place} if place else {}
        )
        for place, name in enumerate("abcdef"[:variants])
    ]
    return one, rows
