"""What staff make of verdicts: confirmed, released or quarantined, undone, and all of it on record.

Deciding changes states, and what the shop holds back of reviews and orders. What is learned follows at the next
training.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.utils import timezone

from recommender.models import Decision, Verdict
from recommender.services.errors import InvalidInput
from recommender.services.screening import holds

T = TypeVar("T")
Person = AbstractBaseUser | AnonymousUser | None  # nobody in particular, where a program decides
State, Action = Verdict.State, Decision.Action
STATES: Mapping[str, str] = {
    Action.CONFIRM: State.CONFIRMED,
    Action.RELEASE: State.RELEASED,
    Action.QUARANTINE: State.QUARANTINED,
}
"""What a decision makes of a verdict."""
MOST_AT_ONCE = 20_000  # verdicts in one decision; more would hold the tables' locks for long
CHUNK = 5_000  # ids in one query; SQLite takes 32,766 values
MAX_NOTE = Decision._meta.get_field("note").max_length or 300  # characters
LATEST = 4


@dataclass(frozen=True)
class Decided:
    batch: uuid.UUID
    """By which it can be undone; nothing stands under it where nothing changed."""
    changed: int
    already: int
    """Were so before, and are left as they were."""
    missing: int
    """Are not there, or no longer."""


@dataclass(frozen=True)
class Undone:
    batch: uuid.UUID
    """By which the undoing can itself be undone."""
    changed: int
    kept: int
    """Were decided or screened again since, and stay as they are."""


@transaction.atomic
def decide(verdict_ids: Iterable[Any], action: str, by: Person, note: str = "") -> Decided:
    """Confirm, release or quarantine verdicts; those that are so already are skipped.

    The rows are locked in one order: of two who decide at once, the second finds what the first made of them, and both
    decisions are on record. Raises InvalidInput.
    """
    ids, state = checked_ids(verdict_ids), state_after(action)
    note = note.strip()
    if len(note) > MAX_NOTE:
        raise InvalidInput(f"A note has at most {MAX_NOTE} characters.")
    rows = _locked(ids)
    changing = [row for row in rows if row.state != state]
    batch, now = uuid.uuid4(), timezone.now()
    Decision.objects.bulk_create(
        [
            Decision(
                verdict=row, action=action, before=row.state, after=state, batch=batch, by_id=_pk(by), note=note, at=now
            )
            for row in changing
        ],
        batch_size=CHUNK,
    )
    before = {row.pk: row.state for row in changing}
    for part in parts(list(before)):
        Verdict.objects.filter(pk__in=part).update(state=state, decided_at=now, decided_by=_pk(by))
    for row in changing:
        row.state = state
    holds.follow(changing, before)
    return Decided(batch, len(changing), len(rows) - len(changing), len(ids) - len(rows))


@transaction.atomic
def undo(batch: uuid.UUID | str, by: Person) -> Undone:
    """Bring a batch's verdicts back to their state before, but for those that something happened to since.

    Raises InvalidInput where there is no such batch, or nobody decided it.
    """
    try:
        batch = uuid.UUID(str(batch))
    except ValueError as error:
        raise InvalidInput("That decision is not known.") from error
    done = Decision.objects.filter(batch=batch).exclude(before="")
    ids = sorted(done.values_list("verdict_id", flat=True))
    if not ids:
        raise InvalidInput("There is nothing to undo: those verdicts are gone, or nobody decided about them.")
    rows = _locked(ids)
    mine = {one.verdict_id: one for one in done}
    latest: dict[int, int] = {}
    for part in parts(ids):
        found = Decision.objects.filter(verdict__in=part).values_list("verdict").annotate(Max("id")).order_by()
        latest.update(found)
    changing = [row for row in rows if latest[row.pk] == mine[row.pk].pk and row.state == mine[row.pk].after]
    again, now, before = uuid.uuid4(), timezone.now(), {row.pk: row.state for row in changing}
    earlier = _decided_before([mine[row.pk] for row in changing])
    for row in changing:
        row.state = mine[row.pk].before
        row.decided_at, row.decided_by_id = earlier.get(row.pk, (None, None))
    Decision.objects.bulk_create(
        [
            Decision(
                verdict=row,
                action=Action.UNDO,
                before=before[row.pk],
                after=row.state,
                batch=again,
                by_id=_pk(by),
                at=now,
            )
            for row in changing
        ],
        batch_size=CHUNK,
    )
    Verdict.objects.bulk_update(changing, ["state", "decided_at", "decided_by"], batch_size=200)
    holds.follow(changing, before)
    return Undone(again, len(changing), len(ids) - len(changing))


def state_after(action: str) -> str:
    """Raises InvalidInput."""
    if action not in STATES:
        raise InvalidInput(f"Choose one of: {', '.join(sorted(STATES))}.")
    return STATES[action]


def checked_ids(verdict_ids: Iterable[Any]) -> list[int]:
    """As numbers, each once, in order. Raises InvalidInput."""
    try:
        ids = sorted({int(one) for one in verdict_ids})
    except (TypeError, ValueError) as error:
        raise InvalidInput("Which verdicts? Their numbers are not valid.") from error
    if not ids:
        raise InvalidInput("Choose at least one verdict.")
    if len(ids) > MOST_AT_ONCE:
        raise InvalidInput(f"At most {MOST_AT_ONCE:,} verdicts can be decided at once; filter the list.")
    if ids[0] < 1 or ids[-1] > 2**63 - 1:
        raise InvalidInput("Which verdicts? Their numbers are not valid.")
    return ids


# What staff see


@dataclass(frozen=True)
class Waiting:
    """What nobody has decided yet."""

    total: int
    quarantined: int
    """Of those: left out of what is learned by themselves, so surely are they found."""
    kinds: list[tuple[str, int]]
    """How many of each kind, most first."""
    latest: list[Verdict]
    any: bool
    """Whether anything was ever found."""


def waiting() -> Waiting:
    rows = Verdict.objects.filter(state__in=Verdict.WAITING)
    kinds: dict[str, int] = {}
    quarantined = 0
    for kind, state, count in rows.order_by().values_list("kind", "state").annotate(Count("pk")):
        kinds[kind] = kinds.get(kind, 0) + count
        quarantined += count if state == State.QUARANTINED else 0
    total = sum(kinds.values())
    latest = list(rows.defer("evidence").order_by("-found_at", "-probability", "-id")[:LATEST]) if total else []
    ordered = sorted(kinds.items(), key=lambda one: (-one[1], one[0]))
    return Waiting(total, quarantined, ordered, latest, bool(total) or Verdict.objects.exists())


def next_waiting(after: Verdict) -> tuple[int | None, int | None]:
    """Ids of the waiting verdicts before and after this one in the queue's order: most certain first."""
    rows = Verdict.objects.filter(state__in=Verdict.WAITING).exclude(pk=after.pk)
    same = rows.filter(probability=after.probability)
    later = same.filter(pk__lt=after.pk).order_by("-pk").values_list("pk", flat=True).first()
    earlier = same.filter(pk__gt=after.pk).order_by("pk").values_list("pk", flat=True).first()
    if later is None:
        less = rows.filter(probability__lt=after.probability)
        later = less.order_by("-probability", "-pk").values_list("pk", flat=True).first()
    if earlier is None:
        more = rows.filter(probability__gt=after.probability)
        earlier = more.order_by("probability", "pk").values_list("pk", flat=True).first()
    return earlier, later


def history(verdict: Verdict) -> QuerySet[Decision]:
    """All that became of it, the latest first."""
    return verdict.decisions.select_related("by").order_by("-id")


def of_visitor(visitor_id: str) -> QuerySet[Verdict]:
    """What was found about a visitor and what they wrote, bought and did."""
    return Verdict.objects.filter(visitor=visitor_id).defer("evidence")


def _locked(ids: list[int]) -> list[Verdict]:
    """Locked in order of id, so that no two decisions wait for each other in a ring."""
    rows: list[Verdict] = []
    for part in parts(ids):
        rows += Verdict.objects.select_for_update(no_key=True).defer("reasons").filter(pk__in=part).order_by("pk")
    return rows


def _decided_before(decisions: Collection[Decision]) -> dict[int, tuple[datetime, int]]:
    """By verdict: when and by whom the state was chosen that these decisions ended; absent where nobody chose it."""
    mine = {one.verdict_id: one for one in decisions}
    found: dict[int, tuple[datetime, int]] = {}
    for part in parts(list(mine)):
        rows = Decision.objects.filter(verdict__in=part, action__in=list(STATES)).exclude(by=None).order_by("id")
        for verdict_id, pk, after, at, by_id in rows.values_list("verdict", "pk", "after", "at", "by"):
            if pk < mine[verdict_id].pk and after == mine[verdict_id].before:
                found[verdict_id] = (at, by_id)
    return found


def parts(ids: list[T]) -> Iterator[list[T]]:
    """As many at once as one query takes."""
    return (ids[low : low + CHUNK] for low in range(0, len(ids), CHUNK))


def _pk(user: Person) -> int | None:
    return user.pk if user is not None else None
