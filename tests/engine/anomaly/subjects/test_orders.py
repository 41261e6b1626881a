"""Shared cards and addresses, card tests, bulk, stolen accounts and haste planted among ordinary orders."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from recommender.engine.anomaly.subjects import orders
from recommender.engine.anomaly.subjects.orders import Orders, find
from recommender.engine.data.ids import Ids
from recommender.engine.errors import NoData
from recommender.engine.options import Options

ITEMS, SHOPPERS, DAY_S = 40, 150, 86_400


@dataclass(frozen=True)
class One:
    """An order; its e-mail address, address and card are its shopper's own unless given."""

    visitor: str
    time: int
    total: float = 20.0
    pieces: int = 1
    item: int = 0
    card: str = ""
    address: str = ""
    email: str = ""
    client: str = ""
    carted_s: float = 300.0
    known_s: float = 90.0 * DAY_S


def ordinary(seed: int = 0) -> list[One]:
    """One to eight orders each over a year, of one to four pieces, of one half of the shop, by day."""
    rng = np.random.default_rng(seed)
    made = []
    for shopper in range(SHOPPERS):
        for _ in range(int(rng.integers(1, 9))):
            pieces = int(rng.integers(1, 5))
            made.append(
                One(
                    f"v{shopper}",
                    int(rng.integers(365)) * DAY_S + int(rng.integers(8, 22)) * 3600 + int(rng.integers(3600)),
                    float(pieces * rng.lognormal(2.5, 0.4)),
                    pieces,
                    int(rng.integers(20)) + 20 * (shopper % 2),
                    carted_s=float(rng.integers(40, 900)),
                    known_s=float(rng.integers(600, 300 * DAY_S)),
                )
            )
    return made


def habit(name: str, count: int = 5) -> list[One]:
    return [One(name, (10 + 20 * n) * DAY_S + 40_000, 18.0 + n, 1, n) for n in range(count)]


PLANTED = {
    "card": ([One(f"card{n}", (100 + n) * DAY_S, card="stolen") for n in range(6)], orders.REUSED_CARD),
    "tester": (
        [One("tester", 50 * DAY_S + 40 * n, 2.0, card=f"card {n}", carted_s=1.0, known_s=40.0 * n) for n in range(7)],
        orders.CARD_TEST,
    ),
    "drop": ([One(f"drop{n}", (200 + n) * DAY_S, address="1 Dock Road") for n in range(14)], orders.REUSED_ADDRESS),
    "bulk": ([One("bulk", 120 * DAY_S, 9000.0, 900, carted_s=30.0, known_s=25.0)], orders.BULK),
    "victim": (
        [*habit("victim"), One("victim", 300 * DAY_S + 3 * 3600, 900.0, 2, 39, "new", "9 Far Street", "x@example.org")],
        orders.UNLIKE,
    ),
    "fast": ([One("fast", 80 * DAY_S + 9 * n, carted_s=1.0, known_s=9.0 * n) for n in range(9)], orders.FAST),
}

LEAST = {"bulk": 0.5, "drop": 0.7, "fast": 0.7}  # what may have an honest reason waits for a person


def columns(made: list[One], **changes: object) -> Orders:
    made = sorted(made, key=lambda one: one.time)

    def codes(values: list[str]) -> np.ndarray:
        return np.unique(values, return_inverse=True)[1].astype(np.int64) if values else np.zeros(0, np.int64)

    visitors, visitor_rows = Ids.factorize([o.visitor for o in made]) if made else (Ids.of([]), np.zeros(0, np.int32))
    vectors = np.zeros((ITEMS, 4), dtype=np.float32)
    vectors[:20, 0] = vectors[20:, 1] = 1
    found = Orders(
        ids=[f"order {number}" for number in range(len(made))],
        visitors=visitors,
        visitor_rows=visitor_rows,
        times=np.array([o.time for o in made], dtype=np.int64),
        totals=np.array([o.total for o in made], dtype=np.float32),
        emails=codes([o.email or f"{o.visitor}@example.org" for o in made]),
        addresses=codes([o.address or f"at {o.visitor}'s" for o in made]),
        cards=codes([o.card or f"{o.visitor}'s card" for o in made]),
        clients=codes([o.client or f"{o.visitor}'s client" for o in made]),
        names=codes([o.visitor for o in made]),
        items=Ids.of(f"item-{number:02d}" for number in range(ITEMS)),
        line_orders=np.arange(len(made), dtype=np.int64),
        line_items=np.array([o.item for o in made], dtype=np.int32),
        quantities=np.array([o.pieces for o in made], dtype=np.int64),
        carted_s=np.array([o.carted_s for o in made], dtype=np.float64),
        known_s=np.array([o.known_s for o in made], dtype=np.float64),
        item_vectors=vectors,
    )
    return replace(found, **changes)


@pytest.fixture(scope="module")
def world() -> Orders:
    return columns(ordinary() + [one for planted, _ in PLANTED.values() for one in planted])


@pytest.fixture(scope="module")
def found(world):
    return find(world, Options())


def rows_of(found, name: str) -> list[int]:
    return [row for row, visitor in enumerate(found.visitors) if visitor.startswith(name)]


@pytest.mark.parametrize("name", PLANTED)
def test_each_kind_is_found_and_named(found, name):
    rows = rows_of(found, name)
    if name == "victim":
        assert found.probabilities[rows[:-1]].max() < 0.5  # what the shopper ordered before
        rows = rows[-1:]
    assert found.probabilities[rows].min() > LEAST.get(name, 0.9)
    assert {found.kinds[row] for row in rows} == {PLANTED[name][1]}


def test_ordinary_orders_are_left_alone(found):
    honest = rows_of(found, "v")
    honest = [row for row in honest if not found.visitors[row].startswith("victim")]
    assert (found.probabilities[honest] < 0.9).all() and (found.probabilities[honest] >= 0.5).mean() < 0.01


def test_reasons_are_sentences_with_the_usual_beside(found):
    card, victim, bulk = (rows_of(found, name)[-1] for name in ("card", "victim", "bulk"))
    assert found.reasons[card][0] == "6 different people paid with this card; usual is 1."
    assert "It comes to 900.00; its shopper's 5 other orders come to 20.00 on average." in found.reasons[victim]
    assert "The first order of this shopper with this card." in found.reasons[victim]
    assert "The first order of this shopper to this address." in found.reasons[victim]
    assert any(reason.startswith("It is for 900 pieces; half of all orders") for reason in found.reasons[bulk])


def test_groups_targets_and_places(found):
    cards, drops = rows_of(found, "card"), rows_of(found, "drop")
    assert len(set(found.groups[cards].tolist())) == len(set(found.groups[drops].tolist())) == 1
    assert found.groups[cards[0]] not in (-1, found.groups[drops[0]])
    victim = rows_of(found, "victim")[-1]
    assert found.targets[victim] == ["item-39"] and found.events[victim].tolist() == [victim]


def test_one_person_who_comes_as_many_guests_shares_nothing_with_others():
    guests = [
        One(f"guest{n}", (100 + n) * DAY_S, card="mine", address="my home", email="me@example.org") for n in range(12)
    ]
    found = find(columns(ordinary() + guests), Options())
    assert found.probabilities[rows_of(found, "guest")].max() < 0.5


def test_a_family_shares_card_and_address():
    family = [One(f"kin{n}", (100 + 9 * n) * DAY_S, card="ours", address="our home") for n in range(2)]
    found = find(columns(ordinary() + family), Options())
    assert found.probabilities[rows_of(found, "kin")].max() < 0.5


def test_what_was_learned_judges_again(world, found):
    again = find(world, Options(), found.arrays)
    assert np.array_equal(again.probabilities, found.probabilities) and again.reasons == found.reasons


@pytest.mark.parametrize(
    "missing", ["times", "cards", "addresses", "emails", "clients", "item_vectors", "carted_s", "known_s", "totals"]
)
def test_what_is_missing_says_nothing(world, missing):
    count = len(world.ids)
    nothing = {
        "times": np.zeros(count, dtype=np.int64),
        "item_vectors": None,
        **dict.fromkeys(("carted_s", "known_s", "totals"), np.full(count, np.nan)),
    }.get(missing, np.full(count, -1, dtype=np.int64))
    found = find(replace(world, **{missing: nothing}), Options())
    honest = [row for row in rows_of(found, "v") if not found.visitors[row].startswith("victim")]
    assert np.isfinite(found.probabilities).all() and (found.probabilities[honest] < 0.9).all()
    if missing != "cards":
        assert found.probabilities[rows_of(found, "card")].min() > 0.9
    else:
        assert found.probabilities[rows_of(found, "drop")].min() > LEAST["drop"]


def test_orders_without_lines():
    bare = replace(
        columns(ordinary()),
        line_orders=np.zeros(0, np.int64),
        line_items=np.zeros(0, np.int32),
        quantities=np.zeros(0, np.int64),
    )
    assert (find(bare, Options()).probabilities < 0.9).all()


@pytest.mark.parametrize(
    "made",
    [
        ordinary()[:5],
        [One("alone", n * 9 * DAY_S, 10.0 + n) for n in range(60)],
        [One("v1", 50)],
        [One(f"v{n}", 50) for n in range(60)],
    ],
    ids=["five rows", "one visitor", "one row", "all equal"],
)
def test_little_or_nothing_to_tell_apart(made):
    found = find(columns(made), Options())
    assert np.isfinite(found.probabilities).all() and (found.probabilities < 0.9).all()


def test_all_anomalous_are_all_found():
    made = [One(f"card{n}", (1 + n) * DAY_S, card="stolen") for n in range(60)]
    found = find(columns(made), Options())
    assert (found.probabilities > 0.9).all() and set(found.kinds) == {orders.REUSED_CARD}


def test_no_orders_are_said():
    with pytest.raises(NoData):
        find(columns([]), Options())
