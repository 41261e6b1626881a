"""Guessed passwords, stolen keys, enumeration and floods planted in a week of ordinary log-ins and API use."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.anomaly.subjects import access
from recommender.engine.anomaly.subjects.access import Doors, find
from recommender.engine.errors import NoData
from recommender.engine.options import Options

DAY_S, START = 86_400, 1_700_000_040 // 60 * 60
Row = tuple[bool, str, str, int, int, int, int]  # log-in, name, client, requests, failures, targets, minute


def ordinary(seed: int = 0) -> list[Row]:
    """150 people who log in now and then and mistype at times, one office, and 12 keys that work through the days."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for person in range(150):
        for _ in range(int(rng.integers(1, 8))):
            wrong = int(rng.random() < 0.2) + int(rng.random() < 0.05)
            client = "office" if person < 40 else f"home {person}"
            rows.append(
                (True, f"person {person}", client, 1 + wrong, wrong, 0, START + int(rng.integers(7 * 1440)) * 60)
            )
    for key in range(12):
        pace = int(rng.integers(2, 60))
        for minute in range(0, 7 * 1440, int(rng.integers(15, 60))):
            many = int(rng.poisson(pace)) + 1
            rows.append(
                (
                    False,
                    f"key {key}",
                    f"server {key}",
                    many,
                    int(rng.binomial(many, 0.01)),
                    many // 2,
                    START + minute * 60,
                )
            )
    return rows


PLANTED: dict[str, tuple[list[Row], str, str]] = {
    "stuffing": (
        [(True, f"account {n}", "botnet", 1, 1, 0, START + 60 * (n // 10)) for n in range(200)],
        "client botnet",
        access.GUESSING,
    ),
    "brute force": (
        [(True, "admin", f"zombie {n % 40}", 5, 5, 0, START + 60 * n) for n in range(80)],
        "log_in admin",
        access.GUESSING,
    ),
    "shared key": (
        [(False, "key leaked", f"place {n % 20}", 8, 0, 2, START + 3 * DAY_S + 60 * (n // 20)) for n in range(600)],
        "api key leaked",
        access.STOLEN,
    ),
    "enumeration": (
        [(False, "key curious", "walker", 60, 45, 58, START + 60 * n) for n in range(40)],
        "api key curious",
        access.ENUMERATION,
    ),
    "flood": (
        [(False, "key loud", "cannon", 4, 0, 2, START + 7200 * n) for n in range(40)]
        + [(False, "key loud", "cannon", 3000, 10, 20, START + 4 * DAY_S + 60 * n) for n in range(20)],
        "client cannon",
        access.FLOOD,
    ),
}


def doors(rows: list[Row], **changes: object) -> Doors:
    log_ins, names, clients, requests, failures, targets, minutes = zip(*rows, strict=True) if rows else ((),) * 7
    (all_names, name_rows), (all_clients, client_rows) = (
        np.unique(np.array(column, dtype=object), return_inverse=True) if rows else (np.zeros(0), np.zeros(0))
        for column in (names, clients)
    )
    made = Doors(
        names=all_names.tolist(),
        clients=all_clients.tolist(),
        name_rows=name_rows.astype(np.int64),
        client_rows=client_rows.astype(np.int64),
        log_ins=np.array(log_ins, dtype=bool),
        requests=np.array(requests, dtype=np.int64),
        failures=np.array(failures, dtype=np.int64),
        targets=np.array(targets, dtype=np.int64),
        minutes=np.array(minutes, dtype=np.int64),
    )
    return replace(made, **changes)


@pytest.fixture(scope="module")
def world() -> Doors:
    return doors(ordinary() + [row for rows, *_ in PLANTED.values() for row in rows])


@pytest.fixture(scope="module")
def found(world):
    return find(world, Options())


@pytest.mark.parametrize("name", PLANTED)
def test_each_kind_is_found_and_named(found, name):
    _, row_id, kind = PLANTED[name]
    row = found.features.ids.index(row_id)
    assert found.probabilities[row] > 0.9 and found.kinds[row] == kind
    assert found.events is None and found.visitors is None


def test_ordinary_people_and_keys_are_left_alone(found):
    words = ("person", "home", "office", "server", "key")
    strangers = ("key leaked", "key curious", "key loud")
    honest = [
        row
        for row, name in enumerate(found.features.ids)
        if (rest := name.split(" ", 1)[1]).startswith(words) and rest not in strangers
    ]
    assert len(honest) > 250
    assert (found.probabilities[honest] < 0.5).all()


def test_reasons_are_sentences_with_their_figures(found):
    told = {name: found.reasons[found.features.ids.index(name)] for _, name, _ in PLANTED.values()}
    assert any(text.startswith("Tried 200 different accounts in vain") for text in told["client botnet"])
    assert any(text.startswith("40 different network addresses failed") for text in told["log_in admin"])
    assert any(text.startswith("Used from 20 network addresses within a day") for text in told["api key leaked"])
    assert any("75% of its requests failed" in text for text in told["api key curious"])
    assert any(text.startswith("Up to 3,000 requests a minute") for text in told["client cannon"])


def test_a_break_in_after_many_failures_is_said():
    rows = [(True, "anna", "thief", 6, 6, 0, START + 60 * n) for n in range(10)]
    rows += [(True, "anna", "thief", 1, 0, 0, START + 900)]
    found = find(doors(ordinary() + rows), Options())
    row = found.features.ids.index("client thief")
    assert found.probabilities[row] > 0.9 and "Was let in at last, after 60 failures." in found.reasons[row]


def test_what_was_learned_judges_again(world, found):
    again = find(world, Options(), found.arrays)
    assert np.array_equal(again.probabilities, found.probabilities) and again.reasons == found.reasons


def test_clients_or_names_may_be_unknown(world):
    nobody = np.full(len(world), -1, dtype=np.int64)
    by_name = find(replace(world, client_rows=nobody), Options())
    assert by_name.probabilities[by_name.features.ids.index("log_in admin")] > 0.5  # by its failures alone
    by_client = find(replace(world, name_rows=nobody), Options())
    assert by_client.probabilities[by_client.features.ids.index("client botnet")] > 0.5
    with pytest.raises(NoData):
        find(replace(world, client_rows=nobody, name_rows=nobody), Options())


@pytest.mark.parametrize(
    "rows",
    [
        ordinary()[:5],
        [(True, "anna", "home", 1, 0, 0, START + 600 * n) for n in range(50)],
        [(True, "anna", "home", 2, 1, 0, START)],
        [(False, f"key {n}", f"server {n}", 5, 0, 2, START) for n in range(60)],
    ],
    ids=["five rows", "one visitor", "one row", "all equal"],
)
def test_little_or_nothing_to_tell_apart(rows):
    found = find(doors(rows), Options())
    assert np.isfinite(found.probabilities).all() and (found.probabilities < 0.5).all()


def test_all_anomalous_are_all_found():
    rows = [(True, f"account {n}", f"bot {bot}", 1, 1, 0, START + 60 * n) for bot in range(60) for n in range(100)]
    found = find(doors(rows), Options())
    assert (found.probabilities > 0.9).all() and set(found.kinds) == {access.GUESSING}


def test_an_empty_log_is_said():
    with pytest.raises(NoData):
        find(doors([]), Options())
