"""What standing verdicts mean for each event of a log: trust, from 0 (left out) to 1 (counts in full).

Quarantined and confirmed: left out. Open: counts by the probability that all is well. Released and lapsed: in full. A
profile taints all that its visitor did, and wholly what it did with its targets; a session that visit, a review the
visitor's rating of the item, an order its purchases; access taints no event. An event that broke a rule as it came
counts half, until staff release its visitor.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.anomaly.trust import shares
from recommender.models import Review, Verdict
from recommender.services.event_log import EventLog

FLAGGED_TRUST = 0.5  # of an event that broke a rule as it came
MOST_LEFT_OUT = 1 / 3  # of all events, by findings that nobody has confirmed: beyond it, the detectors are at fault
NOBODY, BY_RULE = -1, -2  # in `Weighed.by`
State, Subject = Verdict.State, Verdict.Subject


@dataclass(frozen=True)
class Standing:
    """A verdict that changes what is learned."""

    pk: int
    subject: str
    subject_id: str
    visitor_id: str
    kind: str
    keep: float
    """What is left of its events' weights."""
    decided: bool
    """By a person."""
    item_id: str = ""
    """Of a review."""
    span: tuple[int, int] | None = None
    """Unix seconds of a session's first and last event."""
    targets: frozenset[str] = frozenset()
    """Ids of the items that a suspected visitor seems to push or sink: they do not count for those at all."""


@dataclass(frozen=True)
class Weighed:
    """Events (E,) of a log with what verdicts say of them."""

    trust: NDArray[np.float32]
    """(E,)."""
    by: NDArray[np.int32]
    """(E,): place in `verdicts` of the one that says least trust, NOBODY or BY_RULE."""
    verdicts: list[Standing]
    brake: str = ""
    """Why findings that nobody has confirmed were not acted on; empty where they were."""

    @property
    def left_out(self) -> NDArray[np.bool_]:
        return self.trust == 0

    @property
    def weighed_down(self) -> NDArray[np.bool_]:
        return (self.trust > 0) & (self.trust < 1)

    def summary(self, log: EventLog) -> dict[str, Any]:
        """As JSON: events and visitors, in all and by subject and kind, and the verdicts that acted by themselves."""
        out, down = self.left_out, self.weighed_down
        found: dict[tuple[str, str], dict[str, Any]] = {}
        places = np.flatnonzero(self.trust < 1)
        pairs = np.stack((self.by[places], out[places]), axis=1)
        for (verdict, wholly), count in zip(*np.unique(pairs, axis=0, return_counts=True), strict=True):
            one = self.verdicts[verdict] if verdict >= 0 else None
            key = (one.subject, one.kind) if one else ("event", "flagged")
            empty: dict[str, Any] = {
                "subject": key[0],
                "kind": key[1],
                "left_out": 0,
                "weighed_down": 0,
                "verdicts": set(),
            }
            row = found.setdefault(key, empty)
            row["left_out" if wholly else "weighed_down"] += int(count)
            if one:
                row["verdicts"].add(one.pk)
        return {
            "events": len(log),
            "left_out": int(out.sum()),
            "weighed_down": int(down.sum()),
            "visitors": {
                "left_out": len(set(log.visitor_ids[out].tolist())),
                "weighed_down": len(set(log.visitor_ids[down].tolist())),
            },
            "by": sorted(
                ({**row, "verdicts": len(row["verdicts"])} for row in found.values()),
                key=lambda row: -(row["left_out"] + row["weighed_down"]),
            ),
            # Also those whose events another leaves out as well: restoring has to release both.
            "quarantined": sorted(one.pk for one in self.verdicts if one.keep == 0 and not one.decided),
        }


def trust(log: EventLog) -> NDArray[np.float32]:
    """Trust in each event, float32 (E,), by the verdicts that stand now."""
    return weigh(log).trust


def weigh(log: EventLog) -> Weighed:
    """The same with which verdict says so.

    Where findings that nobody has confirmed would leave out more than MOST_LEFT_OUT of the events, detectors are not
    to be believed: only what people decided counts then, and `brake` says so.
    """
    verdicts, coded = standing(), Coded.of(log)
    weighed = apply(coded, verdicts)
    alone = np.array([not verdict.decided for verdict in verdicts] + [False, False])  # for BY_RULE and NOBODY
    share = float((weighed.left_out & alone[weighed.by]).mean()) if len(log) else 0.0
    if share <= MOST_LEFT_OUT:
        return weighed
    decided = apply(coded, [verdict for verdict in verdicts if verdict.decided])
    brake = (
        f"The detectors would leave out {share:.0%} of the events, more than a third. That is more likely their fault "
        "than the shoppers': nothing was left out but what people confirmed."
    )
    return Weighed(decided.trust, decided.by, decided.verdicts, brake)


def standing() -> list[Standing]:
    """The verdicts that change what is learned."""
    acts = Q(state__in=Verdict.LEFT_OUT) | Q(state=State.OPEN, probability__gte=conf().screened.weigh_down_at)
    rows = Verdict.objects.filter(acts).exclude(subject=Subject.ACCESS).order_by("pk")
    return described(list(rows.only(*FIELDS)))


FIELDS = ("subject", "subject_id", "visitor_id", "kind", "probability", "state", "decided_at", "evidence")


def described(rows: list[Verdict]) -> list[Standing]:
    """Verdicts with what tells their events; `keep` by their states."""
    named = [row.subject_id for row in rows if row.subject == Subject.REVIEW]
    reviews = [int(one) for one in named if one.isdecimal() and len(one) < 19]  # more no database counts
    written: dict[str, tuple[str, str]] = {}
    for low in range(0, len(reviews), 500):
        for pk, *pair in Review.objects.filter(pk__in=reviews[low : low + 500]).values_list("pk", "visitor", "item"):
            written[str(pk)] = (pair[0], pair[1])
    found = []
    open_keep = shares([row.probability for row in rows], quarantine_at=1.1, weigh_down_at=0.0)
    for row, keep in zip(rows, open_keep.tolist(), strict=True):
        visitor_id = row.visitor_id or (row.subject_id if row.subject == Subject.PROFILE else "")
        item_id = ""
        if row.subject == Subject.REVIEW:
            visitor_id, item_id = written.get(row.subject_id, ("", ""))
        found.append(
            Standing(
                pk=row.pk,
                subject=row.subject,
                subject_id=row.subject_id,
                visitor_id=visitor_id,
                kind=row.kind,
                keep=0.0 if row.state in Verdict.LEFT_OUT else keep if row.state == State.OPEN else 1.0,
                decided=row.decided_at is not None or row.state == State.CONFIRMED,
                item_id=item_id,
                span=_span(row.evidence) if row.subject == Subject.SESSION else None,
                targets=_targets(row) if row.subject == Subject.PROFILE and row.state == State.OPEN else frozenset(),
            )
        )
    return [verdict for verdict in found if verdict.visitor_id]


def _span(evidence: Any) -> tuple[int, int] | None:
    """Of a session's evidence; None where it has none that can be read."""
    try:
        first, last = evidence["taints"]["span"]
        return int(first), int(last)
    except (KeyError, TypeError, ValueError):
        return None


def _targets(row: Verdict) -> frozenset[str]:
    told = row.evidence.get("targets") if isinstance(row.evidence, dict) else None
    return frozenset(one for one in told if isinstance(one, str)) if isinstance(told, list) else frozenset()


@dataclass(frozen=True)
class Coded:
    """A log with its visitors as numbers."""

    log: EventLog
    codes: NDArray[np.int64]
    """(E,)."""
    code_of: dict[str, int]

    @classmethod
    def of(cls, log: EventLog) -> "Coded":
        """Of a whole shop's; only workers do that."""
        import pandas as pd

        codes, names = pd.factorize(log.visitor_ids)
        return cls(log, codes.astype(np.int64), dict(zip(names.tolist(), range(len(names)), strict=True)))

    @classmethod
    def of_few(cls, log: EventLog) -> "Coded":
        """Of some visitors', in a web process."""
        code_of: dict[str, int] = {}
        codes = [code_of.setdefault(name, len(code_of)) for name in log.visitor_ids.tolist()]
        return cls(log, np.array(codes, dtype=np.int64), code_of)


def apply(coded: Coded, verdicts: list[Standing]) -> Weighed:
    """What verdicts make of a log's events."""
    log, codes, code_of = coded.log, coded.codes, coded.code_of
    keep, by = np.ones(len(code_of), np.float32), np.full(len(code_of), NOBODY, np.int32)
    parts: dict[int, list[int]] = defaultdict(list)  # verdicts about a part of what a visitor did
    for place, verdict in enumerate(verdicts):
        code = code_of.get(verdict.visitor_id)
        if code is None:
            continue
        if verdict.subject != Subject.PROFILE or verdict.targets:
            parts[code].append(place)
        if verdict.subject == Subject.PROFILE and verdict.keep < keep[code]:
            keep[code], by[code] = verdict.keep, place
    left, because = keep[codes], by[codes]
    if parts:
        concerned = np.zeros(len(code_of), dtype=bool)
        concerned[list(parts)] = True
        mine = np.flatnonzero(concerned[codes])
        mine = mine[np.argsort(codes[mine], kind="stable")]
        starts = np.searchsorted(codes[mine], np.arange(len(code_of) + 1))
        for code, places in parts.items():
            events = mine[starts[code] : starts[code + 1]]
            for place in places:
                tainted, worth = events[touches(log, events, verdicts[place])], verdicts[place].keep
                if verdicts[place].subject == Subject.PROFILE:  # of a suspect: what they did with their targets
                    aimed = [item_id in verdicts[place].targets for item_id in log.item_ids[tainted].tolist()]
                    tainted, worth = tainted[np.array(aimed, dtype=bool)], 0.0
                worse = tainted[left[tainted] > worth]
                left[worse], because[worse] = worth, place
    if log.flagged is not None:
        released = Verdict.objects.filter(state=State.RELEASED).exclude(visitor=None).values_list("visitor", flat=True)
        forgiven = np.zeros(len(code_of), dtype=bool)
        forgiven[[code_of[visitor_id] for visitor_id in released if visitor_id in code_of]] = True
        worse_flag = log.flagged & ~forgiven[codes] & (left > FLAGGED_TRUST)
        left[worse_flag], because[worse_flag] = FLAGGED_TRUST, BY_RULE
    return Weighed(left, because, verdicts)


def touches(log: EventLog, events: NDArray[np.int64], verdict: Standing) -> NDArray[np.bool_]:
    """Which of its visitor's `events`, places in `log`, a verdict is about."""
    if verdict.subject == Subject.PROFILE:
        return np.ones(len(events), dtype=bool)
    if verdict.subject == Subject.REVIEW:
        return (log.item_ids[events] == verdict.item_id) & (log.kinds[events] == "rating")
    if verdict.subject == Subject.ORDER:
        return (log.sessions[events] == verdict.subject_id) & (log.kinds[events] == "purchase")
    if verdict.span is None:
        return np.zeros(len(events), dtype=bool)
    return (log.times[events] >= verdict.span[0]) & (log.times[events] <= verdict.span[1])
