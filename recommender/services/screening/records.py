"""From what was found to rows: verdicts that are new, found again, or no longer found, each change on record.

Detectors change what nobody has decided. What people decided stays: a released verdict is released however often it is
found again; only what is known about it is brought up to date.
"""

import hashlib
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from numpy.typing import NDArray

from recommender.conf import ScreeningSettings
from recommender.engine.anomaly.found import NO_GROUP, Found
from recommender.engine.data.activity import KINDS, Activity
from recommender.engine.errors import NotFinite
from recommender.models import Decision, Verdict, Visitor
from recommender.services.screening import evidence, holds

MOST_STORED = 5_000  # verdicts of one subject and pass, the surest; a person could not look at more
UNNAMED = "unusual"  # the kind of what looks like nothing that is known
CHUNK = 500  # values in one query
SAME = 0.001  # change of a probability that is not worth a write
MOST_REASONS, MAX_REASON = 8, 300  # sentences and their characters
State, Action = Verdict.State, Decision.Action
WORDS = ("visitor_id", "kind", "probability", "reasons", "evidence", "group", "detector")


@dataclass(frozen=True)
class Written:
    """Counts of a subject's rows."""

    rows: int
    found: int
    new: int
    gone: int
    beyond: int
    """Found but not stored, because there are more than MOST_STORED."""

    def as_json(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if value or name != "beyond"}


def write(subject: str, found: Found, columns: Any, settings: ScreeningSettings, batch: uuid.UUID) -> Written:
    """Bring a subject's verdicts up to date. Raises NotFinite where a probability is none."""
    p = np.asarray(found.probabilities, dtype=np.float64)
    if p.shape != (len(found.features.ids),) or not ((p >= 0) & (p <= 1)).all():
        raise NotFinite(f"Probabilities of {subject} must be numbers from 0 to 1, one for each row.")
    suspicious = np.flatnonzero(p >= settings.weigh_down_at)
    suspicious = suspicious[np.argsort(-p[suspicious], kind="stable")]
    stored = suspicious[:MOST_STORED].tolist()
    again = {_key(found.features.ids[row]) for row in suspicious.tolist()}
    fresh = _verdicts(subject, found, columns, stored)
    with transaction.atomic():
        new, gone = _merge(subject, fresh, again, settings, batch, timezone.now())
    return Written(len(p), len(suspicious), new, gone, len(suspicious) - len(stored))


def _merge(
    subject: str,
    fresh: dict[str, Verdict],
    again: set[str],
    settings: ScreeningSettings,
    batch: uuid.UUID,
    now: datetime,
) -> tuple[int, int]:
    standing = _standing(subject, list(fresh))
    new: list[Verdict] = []
    changed: list[Verdict] = []
    same: list[Verdict] = []
    decisions: list[Decision] = []
    moves: dict[tuple[str, str], list[int]] = defaultdict(list)
    for key, verdict in fresh.items():
        verdict.state = State.QUARANTINED if verdict.probability >= settings.quarantine_at else State.OPEN
        verdict.found_at = verdict.seen_at = now
        old = standing.get(key)
        if old is None:
            new.append(verdict)
            continue
        verdict.evidence = holds.kept(old.evidence, verdict.evidence)
        (same if _alike(old, verdict) else changed).append(verdict if not _alike(old, verdict) else old)
        if old.decided_at is None and old.state not in (State.CONFIRMED, State.RELEASED) and old.state != verdict.state:
            moves[old.state, verdict.state].append(old.pk)
    for key, old in standing.items():
        if key not in again and old.state in Verdict.WAITING and old.decided_at is None:
            moves[old.state, State.LAPSED].append(old.pk)

    # A row of the same subject that another pass wrote meanwhile is found again rather than an error.
    unique = ["subject", "subject_id"]
    for rows, names in ((new, ["seen_at"]), (changed, [*WORDS, "seen_at"])):
        Verdict.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=unique, update_fields=names, batch_size=CHUNK
        )
    for part in _parts([verdict.pk for verdict in same]):
        Verdict.objects.filter(pk__in=part).update(seen_at=now)
    decisions += [_decision(verdict.pk, "", verdict.state, batch, now) for verdict in new]
    for (before, after), pks in moves.items():
        for part in _parts(pks):
            Verdict.objects.filter(pk__in=part).update(state=after)
        decisions += [_decision(pk, before, after, batch, now) for pk in pks]
    Decision.objects.bulk_create(decisions, batch_size=CHUNK)
    return len(new), sum(len(pks) for (_, after), pks in moves.items() if after == State.LAPSED)


def _standing(subject: str, keys: Sequence[str]) -> dict[str, Verdict]:
    """By subject_id: what is there of these, and what waits; locked, so that nobody decides in between."""
    rows = Verdict.objects.select_for_update(no_key=True).filter(subject=subject).order_by("pk")
    found = {row.subject_id: row for row in rows.filter(state__in=Verdict.WAITING)}
    for part in _parts([key for key in keys if key not in found]):
        found |= {row.subject_id: row for row in rows.filter(subject_id__in=part)}
    return found


def _verdicts(subject: str, found: Found, columns: Any, rows: Sequence[int]) -> dict[str, Verdict]:
    """By subject_id, the surest where an id comes twice; `rows` in falling order of probability."""
    behind = evidence.background(found)
    ids, visitors = found.features.ids, found.visitors
    owners = [str(ids[row] if visitors is None else visitors[row]) for row in rows]
    known = _known_visitors(owners) if visitors is not None or subject == Verdict.Subject.PROFILE else set()
    names = _groups(subject, found, rows)
    own = _Own(subject, found, columns)
    made: dict[str, Verdict] = {}
    for row, owner in zip(rows, owners, strict=True):
        key = _key(ids[row])
        if key in made:
            continue
        times, kinds = own.events(row)
        seen = evidence.build(found, row, behind, times=times, kinds=kinds)
        if times is not None and len(times) and subject == Verdict.Subject.SESSION:
            seen["taints"] = {"span": [int(times.min()), int(times.max())]}
        made[key] = Verdict(
            subject=subject,
            subject_id=key,
            visitor_id=owner if owner in known else None,
            kind=(found.kinds[row] or UNNAMED)[: Verdict.MAX_KIND],
            probability=round(float(found.probabilities[row]), 6),
            reasons=[str(reason)[:MAX_REASON] for reason in list(found.reasons.get(row, ()))[:MOST_REASONS]],
            evidence=seen,
            group=names.get(row, ""),
            detector=found.detector[:40],
        )
    return made


class _Own:
    """The events of a row: those that it taints, or all of its visitor's."""

    def __init__(self, subject: str, found: Found, columns: Any) -> None:
        self._found, self._columns = found, columns
        self._times: NDArray[np.int64] | None = getattr(columns, "times", None)
        self._subject = subject
        self._order = np.zeros(0, dtype=np.int64)
        if found.events is None and isinstance(columns, Activity):
            self._order = np.argsort(columns.visitor_rows, kind="stable")
            self._starts = np.searchsorted(columns.visitor_rows[self._order], np.arange(len(columns.visitors) + 1))

    def events(self, row: int) -> tuple[NDArray[np.int64] | None, list[str] | None]:
        """Their times and kinds."""
        if self._times is None:
            return None, None
        if self._found.events is not None:
            places = np.asarray(self._found.events.get(row, ()), dtype=np.int64)
        elif isinstance(self._columns, Activity):
            visitor = self._columns.visitors.row(str(self._found.features.ids[row]))
            places = self._order[self._starts[visitor] : self._starts[visitor + 1]] if visitor >= 0 else self._order[:0]
        else:
            return None, None
        times = np.asarray(self._times)[places]
        if isinstance(self._columns, Activity):
            return times, [KINDS[kind] for kind in self._columns.kinds[places].tolist()]
        return times, [self._subject] * len(places)


def _groups(subject: str, found: Found, rows: Sequence[int]) -> dict[int, str]:
    """By row: its group's name, the same in each pass while its first member stays; none for those alone in theirs."""
    if found.groups is None:
        return {}
    members: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        if found.groups[row] != NO_GROUP:
            members[int(found.groups[row])].append(row)
    named: dict[int, str] = {}
    for own in members.values():
        if len(own) > 1:
            first = min(str(found.features.ids[row]) for row in own)
            named |= dict.fromkeys(own, hashlib.sha256(f"{subject} {first}".encode()).hexdigest()[:12])
    return named


def _alike(old: Verdict, new: Verdict) -> bool:
    """Whether nothing is to be told about it that is not written already."""
    if abs(old.probability - new.probability) > SAME:
        return False
    return all(getattr(old, name) == getattr(new, name) for name in WORDS if name != "probability")


def _decision(pk: int, before: str, after: str, batch: uuid.UUID, now: datetime) -> Decision:
    action = {State.QUARANTINED: Action.QUARANTINE, State.LAPSED: Action.LAPSE}.get(State(after), Action.FIND)
    return Decision(verdict_id=pk, action=action, before=before, after=after, batch=batch, at=now)


def _known_visitors(ids: Iterable[str]) -> set[str]:
    known: set[str] = set()
    for part in _parts(sorted(set(ids))):
        known |= set(Visitor.objects.filter(pk__in=part).values_list("pk", flat=True))
    return known


def _key(value: object) -> str:
    """An id as `Verdict.subject_id` holds it."""
    text = str(value)
    if len(text) <= Verdict.MAX_ID:
        return text
    return f"{text[: Verdict.MAX_ID - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    return (values[low : low + CHUNK] for low in range(0, len(values), CHUNK))
