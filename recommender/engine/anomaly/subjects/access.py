"""Doors tried by force: guessed passwords, stolen keys, catalogues read out by number, floods.

Each client (network address) and each name (account, API key) of the last days is a row; its id is "client ADDRESS",
"log_in NAME" or "api KEY".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.found import Found
from recommender.engine.anomaly.subjects.judging import Trait, judge
from recommender.engine.errors import NoData
from recommender.engine.options import Options

DAY_S, HOUR_S, MINUTE_S = 86_400, 3600, 60
DETECTOR_WEIGHT = 1.5  # log-odds: clients, accounts and keys are so unlike each other that strangeness says little
ENOUGH = 20  # requests from which shares of them mean something
GUESSING, STOLEN, ENUMERATION, FLOOD = "guessing-passwords", "stolen-key", "enumeration", "flood"

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Doors:
    """M counts: what one client did at one door under one name in one minute."""

    names: Sequence[str]
    """Accounts and API keys."""
    clients: Sequence[str]
    """Network addresses."""
    name_rows: Ints
    """(M,): places in `names`, -1 for none."""
    client_rows: Ints
    """(M,): places in `clients`, -1 for none."""
    log_ins: NDArray[np.bool_]
    """(M,): at the log-in, not at the API."""
    requests: Ints
    failures: Ints
    """(M,): of the requests: wrong password, key or scope, no such item."""
    targets: Ints
    """(M,): about how many different things were asked for."""
    minutes: Ints
    """(M,): Unix seconds of the minutes' starts."""

    def __len__(self) -> int:
        return len(self.requests)


def find(columns: Doors, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
    """Judge every client and every name by its rates, its failures, and how far it spreads.

    Raises NoData, and what `judge` raises.
    """
    if not len(columns):
        raise NoData("Nobody has logged in or used the API lately.")
    clients, names = len(columns.clients), len(columns.names)
    # Rows: clients, then names at the log-in, then names at the API; those that never came drop out at the end.
    parts, of = [], []
    for offset, rows, mask in (
        (0, columns.client_rows, columns.client_rows >= 0),
        (clients, columns.name_rows, (columns.name_rows >= 0) & columns.log_ins),
        (clients + names, columns.name_rows, (columns.name_rows >= 0) & ~columns.log_ins),
    ):
        places = np.flatnonzero(mask)
        parts.append(places)
        of.append(rows[places] + offset)
    places, owner = np.concatenate(parts), np.concatenate(of)
    if not len(places):
        raise NoData("Neither clients nor names are on record.")
    seen, owner = np.unique(owner, return_inverse=True)
    is_client, is_account = seen < clients, (seen >= clients) & (seen < clients + names)
    is_key = seen >= clients + names
    ids = [
        f"client {columns.clients[code]}"
        if code < clients
        else f"log_in {columns.names[code - clients]}"
        if code < clients + names
        else f"api {columns.names[code - clients - names]}"
        for code in seen.tolist()
    ]
    count = len(seen)
    log_in, minutes = columns.log_ins[places], columns.minutes[places]
    requests, failures = columns.requests[places], columns.failures[places]
    other = np.where(is_client[owner], columns.name_rows[places], columns.client_rows[places])

    def total(values: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> Floats:
        return np.bincount(owner, values if mask is None else values * mask, count).astype(np.float64)

    tries, wrong = total(requests, log_in), total(failures, log_in)
    asked, missed = total(requests, ~log_in), total(failures, ~log_in)
    per_minute = _most(owner, minutes // MINUTE_S, requests, count)
    per_hour = _most(owner, minutes // HOUR_S, requests, count)
    hours = _distinct(owner, minutes // HOUR_S, count)
    usual_hour = (total(requests) - per_hour) / np.maximum(hours - 1, 1)
    jump = np.where((hours >= 6) & (usual_hour > 0), per_hour / np.maximum(usual_hour, 1e-9), np.nan)
    failed = log_in & (failures > 0) & (other >= 0)
    failed_others = _distinct(owner[failed], other[failed], count)
    broke_in = _after_failures(owner, np.where(log_in, requests - failures, 0), np.where(log_in, failures, 0), minutes)
    there = other >= 0
    day_others = _most_distinct(owner[there], minutes[there] // DAY_S, other[there], count)
    minute_others = _most_distinct(owner[there], minutes[there] // MINUTE_S, other[there], count)
    targets = total(columns.targets[places], ~log_in)
    enough_tries, enough_asked = tries >= ENOUGH / 2, asked >= ENOUGH
    traits = [
        _trait(
            "failed_log_ins",
            np.where(tries > 0, wrong, np.nan),
            lambda row, value, usual: f"{value:.0f} of {tries[row]:.0f} log-ins failed; usual are {usual:.0f}.",
            {GUESSING: 4.0},
            8,
            40,
        ),
        _trait(
            "share_of_failed_log_ins",
            np.where(enough_tries, wrong / np.maximum(tries, 1), np.nan),
            lambda row, value, usual: f"{value:.0%} of its log-ins failed.",
            {GUESSING: 2.5},
            0.3,
            0.8,
        ),
        _trait(
            "share_of_good_log_ins",
            np.where(enough_tries, 1 - wrong / np.maximum(tries, 1), np.nan),
            lambda row, value, usual: f"{value:.0%} of its log-ins were right.",
            {GUESSING: -8.0},  # an office behind one address mistypes often, too
            0.5,
            0.75,
        ),
        _trait(
            "accounts_it_failed_at",
            np.where(is_client & (tries > 0), failed_others, np.nan),
            lambda row, value, usual: f"Tried {value:.0f} different accounts in vain; usual are {usual:.0f}.",
            {GUESSING: 4.0},
            3,
            15,
        ),
        _trait(
            "clients_that_failed",
            np.where(is_account, failed_others, np.nan),
            lambda row, value, usual: f"{value:.0f} different network addresses failed at this account.",
            {GUESSING: 4.0},
            3,
            15,
        ),
        _trait(
            "let_in_after_failures",
            np.where(is_client | is_account, broke_in, np.nan),
            lambda row, value, usual: f"Was let in at last, after {value:.0f} failures.",
            {GUESSING: 1.5},
            8,
            30,
        ),
        _trait(
            "most_requests_per_minute",
            per_minute,
            lambda row, value, usual: f"Up to {value:,.0f} requests a minute; usual are {usual:,.0f}.",
            {FLOOD: 5.0, ENUMERATION: 0.5},
            120,
            1200,
            tail=0.9,
        ),
        _trait(
            "busiest_hour_beside_the_others",
            jump,
            lambda row, value, usual: f"Its busiest hour had {value:.0f} times the requests of its other hours.",
            {FLOOD: 2.5, STOLEN: 2.5},
            8,
            40,
        ),
        _trait(
            "requests",
            total(requests),
            lambda row, value, usual: f"{value:,.0f} requests in all; usual are {usual:,.0f}.",
            {FLOOD: 1.5},
            5_000,
            100_000,
            tail=0.95,
        ),
        _trait(
            "clients_in_a_day",
            np.where(is_key, day_others, np.nan),
            lambda row, value, usual: f"Used from {value:.0f} network addresses within a day; usual are {usual:.0f}.",
            {STOLEN: 4.0},
            3,
            12,
        ),
        _trait(
            "clients_at_once",
            np.where(is_key, minute_others, np.nan),
            lambda row, value, usual: f"Used from {value:.0f} network addresses within one minute.",
            {STOLEN: 3.0},
            1,
            5,
        ),
        _trait(
            "things_asked_for",
            np.where(enough_asked, targets, np.nan),
            lambda row, value, usual: f"Asked for {value:,.0f} different things; usual are {usual:,.0f}.",
            {ENUMERATION: 1.5},
            100,
            1000,
        ),
        _trait(
            "things_per_request",
            np.where(enough_asked, targets / np.maximum(asked, 1), np.nan),
            lambda row, value, usual: f"{value:.0%} of its requests asked for something new; usual are {usual:.0%}.",
            {ENUMERATION: 1.0},
            0.5,
            0.95,
        ),
        _trait(
            "share_of_failed_requests",
            np.where(enough_asked, missed / np.maximum(asked, 1), np.nan),
            lambda row, value, usual: f"{value:.0%} of its requests failed, as guesses do; usual are {usual:.0%}.",
            {ENUMERATION: 5.0, STOLEN: 0.5},
            0.15,
            0.6,
        ),
        _trait(
            "share_of_good_requests",
            np.where(enough_asked, 1 - missed / np.maximum(asked, 1), np.nan),
            lambda row, value, usual: f"{value:.0%} of its requests were answered.",
            {ENUMERATION: -4.0},
            0.85,
            0.95,
        ),
        _trait(
            "keys_and_accounts",
            np.where(is_client, _distinct(owner[there], other[there], count), np.nan),
            lambda row, value, usual: f"Came under {value:.0f} names; usual are {usual:.0f}.",
            {GUESSING: 0.5},
            5,
            30,
        ),
    ]
    return judge(ids, traits, options, known, weight=DETECTOR_WEIGHT).found(traits)


def _trait(
    name: str,
    values: Floats,
    say: Callable[[int, float, float], str],
    weights: Mapping[str, float],
    low: float,
    high: float,
    tail: float = 0.0,
) -> Trait:
    return Trait(name, values, say, weights, low, high, tail)


def _most(owner: Ints, slots: Ints, counts: Ints, rows: int) -> Floats:
    """(rows,): the most counted in one slot."""
    slots = slots - slots.min()
    keys, code = np.unique(owner * (int(slots.max()) + 1) + slots, return_inverse=True)
    most = np.zeros(rows)
    np.maximum.at(most, keys // (int(slots.max()) + 1), np.bincount(code, counts))
    return most


def _distinct(owner: Ints, values: Ints, rows: int) -> Floats:
    """(rows,): how many different values."""
    if not len(owner):
        return np.zeros(rows)
    low = int(values.min())
    width = int(values.max()) - low + 1
    return np.bincount(np.unique(owner * width + values - low) // width, minlength=rows).astype(np.float64)


def _most_distinct(owner: Ints, slots: Ints, values: Ints, rows: int) -> Floats:
    """(rows,): the most different values in one slot."""
    most = np.zeros(rows)
    if len(owner):
        slots = slots - slots.min()
        slot, width = owner * (int(slots.max()) + 1) + slots, int(values.max()) + 1
        keys, counts = np.unique(np.unique(slot * width + values) // width, return_counts=True)
        np.maximum.at(most, keys // (int(slots.max()) + 1), counts.astype(np.float64))
    return most


def _after_failures(owner: Ints, successes: Ints, failures: Ints, minutes: Ints) -> Floats:
    """(rows,): failures before the last minute with a success; 0 where there was none."""
    rows = int(owner.max()) + 1
    last = np.full(rows, np.iinfo(np.int64).min)
    good = successes > 0
    np.maximum.at(last, owner[good], minutes[good])
    return np.bincount(owner, failures * (minutes <= last[owner]), rows).astype(np.float64)
