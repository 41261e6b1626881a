"""Scrapers and pumps planted among ordinary visits."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.anomaly.subjects.sessions import PUMP, SCRAPER, cut, find
from recommender.engine.data.activity import KINDS, Activity
from recommender.engine.data.ids import Ids
from recommender.engine.errors import NoData
from recommender.engine.options import Options

N, VISITORS, DAY_S = 300, 120, 86_400
VIEW, CART, PURCHASE, IMPRESSION = (KINDS.index(name) for name in ("view", "cart", "purchase", "impression"))
Rows = list[tuple[str, int, int, int, int]]  # visitor, item, kind, time, session


def ordinary(seed: int = 0) -> Rows:
    """Three visits each, of 3 to 30 looks at what is popular, at a reader's pace; some buy."""
    rng = np.random.default_rng(seed)
    fame = 1 / np.arange(1, N + 1) ** 0.7
    rows: Rows = []
    for visitor in range(VISITORS):
        for visit in range(3):
            size = int(rng.integers(3, 31))
            at = int(rng.integers(60 * DAY_S)) + np.cumsum(np.maximum(rng.lognormal(3, 1.0, size), 1)).astype(int)
            items = rng.choice(N, size, p=fame / fame.sum())
            kinds = np.where(rng.random(size) < 0.15, CART, VIEW)
            kinds[-1] = PURCHASE if rng.random() < 0.3 else kinds[-1]
            rows += [
                (f"v{visitor}", int(item), int(kind), int(time), 3 * visitor + visit)
                for item, kind, time in zip(items, kinds, at, strict=True)
            ]
    return rows


def scraper(name: str = "bot", size: int = 90) -> Rows:
    return [(name, item, VIEW, 20 * DAY_S + 4 * item + item % 2, 9000) for item in range(size)]


def pump(name: str, items: tuple[int, int] = (280, 281), visits: int = 11) -> Rows:
    return [
        (name, items[step % 2], VIEW, 30 * DAY_S + 70_000 * visit + 20 * step, 9100 + 20 * int(name[-1]) + visit)
        for visit in range(visits)
        for step in range(3)
    ]


def activity(rows: Rows, **changes: object) -> Activity:
    rows = sorted(rows, key=lambda row: row[3])
    who, what, kinds, times, sessions = zip(*rows, strict=True) if rows else ((),) * 5
    visitors, visitor_rows = Ids.factorize(list(who)) if rows else (Ids.of([]), np.zeros(0, np.int32))
    items = Ids.of(f"item-{number:04d}" for number in range(N))
    return replace(
        Activity(
            visitors,
            items,
            visitor_rows,
            np.array(what, dtype=np.int32),
            np.array(kinds, dtype=np.int8),
            np.full(len(rows), np.nan, dtype=np.float32),
            np.array(times, dtype=np.int64),
            np.array(sessions, dtype=np.int64),
        ),
        **changes,
    )


PLANTED = ordinary() + scraper() + [row for number in range(4) for row in pump(f"pump{number}")]


@pytest.fixture(scope="module")
def world() -> Activity:
    return activity(PLANTED)


@pytest.fixture(scope="module")
def found(world):
    return find(world, Options())


def rows_of(found, name: str) -> list[int]:
    return [row for row, visitor in enumerate(found.visitors) if visitor.startswith(name)]


def test_planted_bots_are_found_and_named(found):
    (bot,) = rows_of(found, "bot")
    assert found.kinds[bot] == SCRAPER and found.probabilities[bot] > 0.99
    assert any("90 steps come at an even beat" in reason for reason in found.reasons[bot])
    pumps = rows_of(found, "pump")
    assert {found.kinds[row] for row in pumps} == {PUMP} and found.probabilities[pumps].min() > 0.5
    assert found.probabilities[pumps].max() > 0.9
    assert any("3 other visitors keep coming" in reason for reason in found.reasons[pumps[0]])


def test_ordinary_visits_are_left_alone(found):
    honest = rows_of(found, "v")
    assert len(honest) == 3 * VISITORS
    assert (found.probabilities[honest] < 0.9).all() and (found.probabilities[honest] >= 0.5).mean() < 0.01


def test_each_names_its_events_targets_group_and_visitor(world, found):
    (bot,) = rows_of(found, "bot")
    pumps = rows_of(found, "pump")
    assert (world.visitor_rows[found.events[bot]] == world.visitors.row("bot")).all() and len(found.events[bot]) == 90
    assert set(found.targets[pumps[0]]) == {"item-0280", "item-0281"}
    assert found.features.ids[bot] == f"bot@{20 * DAY_S}"
    assert found.groups[bot] == -1 and len(set(found.groups[pumps].tolist())) == 1
    assert set(found.events) == set(found.reasons) == set(np.flatnonzero(found.probabilities >= 0.5).tolist())


def test_a_shopper_who_comes_back_to_a_thing_and_buys_it_is_no_pump():
    rows = [*pump("eager1"), ("eager1", 280, PURCHASE, 30 * DAY_S + 10 * 70_000 + 90, 9999)]
    found = find(activity(ordinary() + rows), Options())
    assert found.probabilities[rows_of(found, "eager")].max() < 0.9


def test_what_was_learned_judges_again(world, found):
    again = find(world, Options(), found.arrays)
    assert np.array_equal(again.probabilities, found.probabilities) and again.reasons == found.reasons


def test_impressions_are_no_steps(found):
    shown = [(who, item, IMPRESSION, time, session) for who, item, _, time, session in PLANTED]
    assert np.allclose(find(activity(PLANTED + shown), Options()).probabilities, found.probabilities)
    with pytest.raises(NoData):
        find(activity(shown), Options())


def test_visits_without_a_name_are_cut_at_pauses():
    rows = [("a", 1, VIEW, 0, -1), ("a", 2, VIEW, 1800, -1), ("a", 3, VIEW, 3601, -1), ("b", 1, VIEW, 3602, -1)]
    visits = cut(activity(rows))
    assert visits.counts.tolist() == [2, 1, 1]
    named = cut(activity([(who, item, kind, time, 5) for who, item, kind, time, _ in rows]))
    assert named.counts.tolist() == [3, 1]


def test_without_times_breadth_and_repetition_still_speak(world):
    still = find(replace(world, times=np.zeros(len(world), dtype=np.int64)), Options())
    (bot,) = rows_of(still, "bot")
    assert still.probabilities[bot] > 0.5 and still.kinds[bot] == SCRAPER
    assert (still.probabilities[rows_of(still, "v")] < 0.9).all()


def test_item_vectors_may_be_there_or_not(world, found):
    vectors = np.random.default_rng(0).normal(size=(N, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[:5] = 0
    seen = find(replace(world, item_vectors=vectors), Options())
    assert np.isfinite(seen.probabilities).all() and seen.probabilities[rows_of(seen, "bot")] > 0.9


@pytest.mark.parametrize(
    "rows",
    [
        ordinary()[:5],
        [("alone", number % 7, VIEW, 100 * number * number, -1) for number in range(40)],
        [("same", 1, VIEW, 50, 1)] * 60,
        [(f"v{number}", 1, VIEW, 50 + number, number) for number in range(60)],
    ],
    ids=["five rows", "one visitor", "all at once", "all equal"],
)
def test_little_or_nothing_to_tell_apart(rows):
    found = find(activity(rows), Options())
    assert np.isfinite(found.probabilities).all() and (found.probabilities < 0.9).all()


def test_all_anomalous_are_all_found():
    rows = [(f"bot{n}", item, VIEW, n * DAY_S + 4 * item, n) for n in range(80) for item in range(90)]
    found = find(activity(rows), Options())
    assert (found.probabilities > 0.5).all()  # the beat and the breadth speak for themselves
