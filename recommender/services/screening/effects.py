"""What difference it makes: the ranking with and without what is left out, and what a decision would change.

For a run, in a worker: two quick models, alike but for the events that screening took away, recommend to the same
shoppers. For a decision, in a web process: whose interest items would lose or regain. Restoring is one decision.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.data.ids import UNKNOWN
from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import NoData
from recommender.engine.index.exact import top_k
from recommender.engine.options import Options
from recommender.engine.trainers import make_config, trainer
from recommender.models import Event, Item, Run, Verdict
from recommender.services import event_log, serving
from recommender.services.errors import InvalidInput
from recommender.services.event_log import EventLog
from recommender.services.screening import verdicts, weighing
from recommender.services.screening.verdicts import Decided, checked_ids, state_after
from recommender.services.screening.weighing import Coded, Weighed

QUICK = "als", {"factors": 32, "iterations": 6}  # the trainer and config of the two models
K = 10  # length of the lists that are compared
MOST_SHOPPERS = 1_000  # whose lists are compared
MOST_EVENTS = 500_000  # that the two models learn from; of a larger shop, the events of some visitors
MOST_ITEMS = 12  # told of
BLOCK_BYTES = 64 * 2**20  # of scores held at once
MOST_PREVIEWED = 200_000  # events looked at in a web request
CHUNK = 500  # ids in one query
SEED = 42
State, Subject = Verdict.State, Verdict.Subject


def moved(log: EventLog, weighed: Weighed, options: Options) -> dict[str, Any]:
    """How the lists of shoppers whom no verdict touches differ with and without what screening took away.

    As JSON: users, k, overlap (mean share of a list that stays), items (those that move most: their shares of the
    lists and places among all items, before and after), share (of the visitors looked at), seconds. `log` and
    `weighed` (E,) are as they were before anything was left out. Raises Cancelled, NoData.
    """
    started = time.perf_counter()
    coded = Coded.of(log)
    rng = np.random.default_rng(SEED)
    visitors, share = len(coded.code_of), min(1.0, MOST_EVENTS / max(len(log), 1))
    if share < 1:
        seen = rng.random(visitors) < share
        mask = seen[coded.codes]
        log, trust, codes = log.where(mask), weighed.trust[mask], coded.codes[mask]
    else:
        trust, codes = weighed.trust, coded.codes
    if not len(log):
        raise NoData("Nothing is left of the sample.")
    everything = event_log.interactions(log)
    less = event_log.interactions(log, trust)
    less = less.where(less.weights != 0)  # rows keep their meaning, so that both models start alike
    touched = np.zeros(visitors, dtype=bool)
    touched[codes[trust < 1]] = True
    honest = np.array(list(coded.code_of), dtype=object)[np.unique(codes[~touched[codes]])]
    shoppers = np.sort(everything.users.rows(honest.tolist()))
    shoppers = shoppers[np.isin(shoppers, everything.user_rows[everything.weights > 0])]
    if len(shoppers) > MOST_SHOPPERS:
        shoppers = np.sort(rng.choice(shoppers, MOST_SHOPPERS, replace=False))
    if not len(shoppers):
        raise NoData("Every visitor is touched by some verdict.")
    before, after = (_lists(data, shoppers, options) for data in (everything, less))
    same = np.array([len(np.intersect1d(a, b)) for a, b in zip(before, after, strict=True)]) / before.shape[1]
    return {
        "users": len(shoppers),
        "k": int(before.shape[1]),
        "overlap": round(float(same.mean()), 4),
        "items": _movers(everything, before, after),
        "share": round(share, 4),
        "seconds": round(time.perf_counter() - started, 3),
    }


def _lists(data: Interactions, shoppers: NDArray[np.int32], options: Options) -> NDArray[np.int32]:
    """Each shopper's K best items that they do not have, int32 (B, K), by a quick model of `data`."""
    name, values = QUICK
    config = make_config(name, values)
    query = trainer(name).query(trainer(name).fit(data, config, options), config)
    found = []
    size = max(1, BLOCK_BYTES // (4 * len(data.items)))
    for low in range(0, len(shoppers), size):
        histories = data.histories(shoppers[low : low + size])
        scores = np.array(query.scores(histories), dtype=np.float32)
        scores[histories.user_rows, histories.item_rows] = -np.inf
        found.append(top_k(scores, K)[0])
    return np.concatenate(found)


def _movers(data: Interactions, before: NDArray[np.int32], after: NDArray[np.int32]) -> list[dict[str, Any]]:
    counts = [np.bincount(lists.ravel(), minlength=len(data.items)) for lists in (before, after)]
    change = np.abs(counts[1] - counts[0])
    rows = np.argsort(-change, kind="stable")[:MOST_ITEMS]
    rows = rows[change[rows] > 0]
    return [
        {
            "item": data.items.id(row),
            "from": round(int(counts[0][row]) / len(before), 4),
            "to": round(int(counts[1][row]) / len(before), 4),
            "place_from": _place(counts[0], row),
            "place_to": _place(counts[1], row),
        }
        for row in rows.tolist()
    ]


def _place(values: NDArray[Any], row: int) -> int | None:
    """From 1; None where it has nothing to stand there by."""
    return int((values > values[row]).sum()) + 1 if values[row] > 0 else None


# For a decision


@dataclass(frozen=True)
class Mover:
    item: Item
    interest_from: int
    """Visitors that count for it."""
    interest_to: int
    place_from: int | None
    """Among all items of the live model; None where it does not know the item, or nobody counts."""
    place_to: int | None


@dataclass(frozen=True)
class Preview:
    """What a decision would change of what the next training learns from."""

    action: str
    verdicts: int
    """That would change."""
    visitors: int
    """With an event that would count differently."""
    left_out: int
    """Events that count now, if only in part, and would not."""
    restored: int
    """Events that count less now, or not at all, and would count more."""
    share: float
    """Of both together in all events of the shop, from 0 to 1."""
    whole: bool
    """False where so much is concerned that only a part was looked at."""
    items: list[Mover] = field(default_factory=list)
    """Those that gain or lose most visitors."""


def preview(verdict_ids: Iterable[Any], action: str) -> Preview:
    """Changes nothing. Raises InvalidInput."""
    ids, state = checked_ids(verdict_ids), state_after(action)
    changing = [row for row in _rows(Q(pk__in=part) for part in _parts(ids)) if row.state != state]
    pks = {row.pk for row in changing}
    owners = sorted({one.visitor_id for one in weighing.described(changing)})
    log, whole = _events(owners)
    around = _rows(Q(visitor__in=part) for part in _parts(owners))
    now = weighing.described([*changing, *(row for row in around if row.pk not in pks)])
    for row in changing:
        row.state = state
    then = weighing.described([*changing, *(row for row in around if row.pk not in pks)])
    coded = Coded.of_few(log)
    before, after = (weighing.apply(coded, found).trust for found in (now, then))
    less, more = (after == 0) & (before > 0), after > before
    changed = less | more
    total = Event.objects.order_by("-id").values_list("pk", flat=True).first() or 0  # about, and at once
    return Preview(
        action=action,
        verdicts=len(changing),
        visitors=len(np.unique(coded.codes[changed])),
        left_out=int(less.sum()),
        restored=int(more.sum()),
        share=min(1.0, int(changed.sum()) / max(total, 1)),
        whole=whole,
        items=_interest(coded, before > 0, after > 0),
    )


def _rows(conditions: Iterable[Q]) -> list[Verdict]:
    found = Verdict.objects.exclude(subject=Subject.ACCESS).only(*weighing.FIELDS)
    return [row for condition in conditions for row in found.filter(condition)]


def _events(visitor_ids: list[str]) -> tuple[EventLog, bool]:
    """The events of some visitors that weigh something, at most MOST_PREVIEWED, and whether these are all."""
    kinds = [kind for kind, weight in conf().weights.by_kind.items() if weight]
    rows: list[tuple[Any, ...]] = []
    for part in _parts(visitor_ids):
        found = Event.objects.filter(visitor__in=part, kind__in=kinds)
        moment = event_log.Microseconds("occurred_at")
        fields = found.values_list("visitor_id", "item_id", "kind", "value", moment, "session")
        rows += fields[: MOST_PREVIEWED + 1 - len(rows)]
        if len(rows) > MOST_PREVIEWED:
            break
    columns = np.array(rows[:MOST_PREVIEWED], dtype=object).reshape(-1, 6).T
    who, what, kind, values, moments, sessions = columns
    seconds = moments.astype(np.int64) // 1_000_000
    log = EventLog(who, what, kind, values.astype(np.float64), seconds, sessions)
    return log, len(rows) <= MOST_PREVIEWED


def _interest(coded: Coded, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> list[Mover]:
    """The items that gain or lose most visitors, by whether each event counts (E,)."""
    change: dict[str, int] = {}
    pairs = {mask: _pairs(coded, counted) for mask, counted in ((0, before), (1, after))}
    for _, item_id in pairs[1] - pairs[0]:
        change[item_id] = change.get(item_id, 0) + 1
    for _, item_id in pairs[0] - pairs[1]:
        change[item_id] = change.get(item_id, 0) - 1
    first = sorted(change, key=lambda item_id: (-abs(change[item_id]), item_id))[:MOST_ITEMS]
    items = Item.objects.in_bulk(first)
    model = serving.live().model
    rows = model.items.rows(first) if model else np.full(len(first), UNKNOWN)
    known = np.asarray(model.artifact.arrays["popularity"]) if model else np.zeros(0)
    movers = []
    for item_id, row in zip(first, rows.tolist(), strict=True):
        if item_id not in items:
            continue
        base = int(known[row]) if row != UNKNOWN else sum(1 for _, other in pairs[0] if other == item_id)
        to = max(base + change[item_id], 0)
        places = (_standing_at(known, row, base), _standing_at(known, row, to)) if row != UNKNOWN else (None, None)
        movers.append(Mover(items[item_id], base, to, *places))
    return movers


def _pairs(coded: Coded, counted: NDArray[np.bool_]) -> set[tuple[int, str]]:
    return set(zip(coded.codes[counted].tolist(), coded.log.item_ids[counted].tolist(), strict=True))


def _standing_at(known: NDArray[Any], row: int, value: int) -> int | None:
    """The place of an item that so many visitors count for, from 1, among all others as they are."""
    return int((np.delete(known, row) > value).sum()) + 1 if value > 0 else None


# Restoring


def restorable(run: Run) -> list[int]:
    """The verdicts by which a run left something out, that nobody had decided then, nor has since."""
    pks = run.screening.get("quarantined") or []
    found: list[int] = []
    for part in _parts([pk for pk in pks if isinstance(pk, int)]):
        still = Verdict.objects.filter(pk__in=part, state__in=Verdict.WAITING, decided_at=None)
        found += still.values_list("pk", flat=True)
    return sorted(found)


def restore(run: Run, by: Any) -> Decided:
    """Release everything that a run left out by itself, as one decision that can be undone; the next training counts
    it in full. Raises InvalidInput where there is nothing."""
    ids = restorable(run)
    if not ids:
        raise InvalidInput("There is nothing to restore: what it left out was decided since, or is no longer found.")
    return verdicts.decide(ids, "release", by, f"Restores what run {run.pk} left out by itself.")


def _parts(values: list[Any]) -> Iterable[list[Any]]:
    return (values[low : low + CHUNK] for low in range(0, len(values), CHUNK))
