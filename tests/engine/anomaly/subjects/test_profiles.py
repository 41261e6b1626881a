"""Fake profiles: found among real ones, explained, and never invented where there are none."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.engine.anomaly.subjects import profile_crowds, profile_rounds, profile_verdicts
from recommender.engine.anomaly.subjects.profile_crowds import Crowds, Membership
from recommender.engine.anomaly.subjects.profiles import FLOOR, find
from recommender.engine.data.activity import KINDS, RATING, Activity
from recommender.engine.data.ids import Ids
from recommender.engine.errors import NoData
from recommender.engine.options import Options

VISITORS, ITEMS, TASTES, EACH = 300, 120, 4, 20
DAY_S, START_S = 86_400, 1_700_000_000
VIEW = KINDS.index("view")


def shop(extra=(), seed=0):
    """Visitors of four tastes who rate mostly items of their own; `extra` rows (visitor, item, kind, value, time)."""
    random = np.random.default_rng(seed)
    rows = []
    for visitor in range(VISITORS):
        weight = np.where(np.arange(ITEMS) % TASTES == visitor % TASTES, 8.0, 1.0) / (1 + np.arange(ITEMS) // 8)
        items = random.choice(ITEMS, EACH, replace=False, p=weight / weight.sum())
        stars = np.clip(np.round(3.2 + (items % TASTES == visitor % TASTES) + random.normal(0, 0.8, EACH)), 1, 5)
        times = START_S + np.sort(random.integers(0, 300 * DAY_S, EACH))
        rows += [
            (f"v{visitor:03}", item, RATING, star, time) for item, star, time in zip(items, stars, times, strict=True)
        ]
    return activity([*rows, *extra])


def activity(rows):
    rows = sorted(rows, key=lambda row: row[4])
    visitors, visitor_rows = Ids.factorize([row[0] for row in rows])
    items, item_rows = Ids.factorize([f"item-{row[1]:03}" for row in rows])
    return Activity(
        visitors,
        items,
        visitor_rows,
        item_rows,
        np.array([row[2] for row in rows], np.int8),
        np.array([row[3] for row in rows], np.float32),
        np.array([row[4] for row in rows], np.int64),
        np.full(len(rows), -1, np.int64),
    )


def ring(stars):
    """Eight who give the same stars to the same three items within two days, and rate two others."""
    random = np.random.default_rng(1)
    told = []
    for member in range(8):
        begins = START_S + 100 * DAY_S + random.integers(0, 2 * DAY_S)
        told += [(f"x{member}", item, RATING, stars, begins + 60 * item) for item in (95, 103, 110)]
        told += [(f"x{member}", int(item), RATING, 4, begins + DAY_S) for item in random.choice(90, 2, replace=False)]
    return told


def cast():
    """A ring, a bot that walks through the catalogue, and four who keep looking at one item."""
    walk = [("bot", item, VIEW, np.nan, START_S + 40 * DAY_S + 5 * item) for item in range(80)]
    pump = [
        (f"p{member}", 100, VIEW, np.nan, START_S + 50 * DAY_S + 7000 * time + 911 * member)
        for member in range(4)
        for time in range(30)
    ]
    return [*ring(5.0), *walk, *pump]


@pytest.fixture(scope="module")
def ringed():
    return find(shop(cast()), Options())


def rows_of(found, prefix):
    return [row for row, name in enumerate(found.features.ids) if name.startswith(prefix)]


def test_a_ring_is_found_with_its_items_and_its_members(ringed):
    fakes = rows_of(ringed, "x")
    assert (ringed.probabilities[fakes] >= 0.9).all()
    assert {ringed.kinds[row] for row in fakes} == {"push"}
    assert all(set(ringed.targets[row]) == {"item-095", "item-103", "item-110"} for row in fakes)
    assert len({ringed.groups[row] for row in fakes}) == 1
    assert "same 3 items as 7 other" in ringed.reasons[fakes[0]][0]


def test_honest_visitors_are_left_alone(ringed):
    assert (ringed.probabilities[rows_of(ringed, "v")] >= 0.9).sum() == 0


def test_those_who_sink_items_are_named_so():
    found = find(shop(ring(1.0)), Options())
    fakes = rows_of(found, "x")
    assert (found.probabilities[fakes] >= 0.9).all()
    assert {found.kinds[row] for row in fakes} == {"nuke"}


def test_nobody_is_condemned_where_nobody_attacks():
    assert (find(shop(seed=5), Options()).probabilities >= 0.9).sum() == 0


def test_a_scraper_is_known_by_its_pace(ringed):
    bot = ringed.features.ids.index("bot")
    assert ringed.kinds[bot] == "scraper" and ringed.probabilities[bot] >= 0.9
    assert any("like a clock" in reason for reason in ringed.reasons[bot])


def test_pumps_are_known_by_coming_back_together(ringed):
    pumps = rows_of(ringed, "p")
    assert {ringed.kinds[row] for row in pumps} == {"pump"}
    assert all(ringed.targets[row] == ["item-100"] for row in pumps)


def test_a_push_is_found_without_times():
    random = np.random.default_rng(3)
    fakes = []
    for member in range(15):
        items = [110, *random.choice(100, 20, replace=False).tolist()]
        fakes += [(f"x{member}", item, RATING, 5 if item == 110 else int(random.integers(2, 6)), 0) for item in items]
    data = shop(fakes)
    found = find(replace(data, times=np.zeros(len(data), np.int64)), Options())
    fake = np.array([name.startswith("x") for name in found.features.ids])
    odds = found.arrays["odds"]
    assert np.mean(odds[fake][:, None] > odds[~fake][None, :]) >= 0.95
    assert np.isfinite(found.probabilities).all()


def test_the_same_seed_says_the_same(ringed):
    again = find(shop(cast()), Options(), known=ringed.arrays)
    assert np.array_equal(again.probabilities, ringed.probabilities)
    assert again.reasons == ringed.reasons


def test_too_few_visitors_or_items_are_refused():
    few = activity([(f"v{row}", row % 7, RATING, 3, row) for row in range(FLOOR - 1)])
    with pytest.raises(NoData, match="at least 30 visitors"):
        find(few, Options())
    one = activity([(f"v{row}", 0, RATING, 3, row) for row in range(60)])
    with pytest.raises(NoData, match="items"):
        find(one, Options())


@pytest.mark.parametrize(
    "rows",
    [
        [(f"v{row:02}", item, RATING, 4, 0) for row in range(60) for item in range(6)],
        [(f"v{row:02}", (row + item) % 9, VIEW, np.nan, row * 99 + item) for row in range(60) for item in range(4)],
        [(f"v{row:02}", item, RATING, np.nan, row) for row in range(60) for item in range(row % 5, 8)],
        [(f"v{row:02}", item, RATING, 5, 1000 + row) for row in range(40) for item in (1, 2, 3, 4, 5)]
        + [("busy", n % 300, VIEW, np.nan, n) for n in range(20_000)],
    ],
    ids=["all equal", "no values", "NaN stars", "one visitor does everything"],
)
def test_odd_data_give_finite_answers(rows):
    found = find(activity(rows), Options())
    assert np.isfinite(found.probabilities).all()
    assert ((found.probabilities >= 0) & (found.probabilities <= 1)).all()
    assert len(found.kinds) == len(found.features.ids)
    assert np.isfinite(found.contributions).all()


def test_progress_may_stop_it():
    class Stop(Exception):
        pass

    def stop(share, message):
        raise Stop

    with pytest.raises(Stop):
        find(shop(), Options(progress=stop))


def test_the_share_of_fakes_stays_a_share_where_all_are() -> None:
    assert profile_verdicts.share_of_fakes(np.full(50, 9.0)) == profile_verdicts.MOST_SHARE
    assert profile_verdicts.share_of_fakes(np.full(50, -9.0)) == profile_verdicts.LEAST_PRIOR


def test_a_crowd_farther_out_than_any_decoys_counts_for_more():
    random = np.random.default_rng(0)
    values = random.normal(size=(80, len(profile_crowds.NAMES)))
    values[60:, 1:] += 3  # decoys' crowds
    values[0, 1:], values[1, 1:] = 7, 12
    values[:, 0] = np.log(5)
    crowds = Crowds(values.astype(np.float32), np.zeros((400, 3), np.float32))
    each = np.arange(80)
    gangs = np.where(each < 60, -1, each)
    odds = profile_rounds._crowd_odds(Membership(np.repeat(each, 5), np.arange(400), 3 * each, gangs), crowds)
    assert odds[1] > odds[0] + 1 > odds[2:60].max() + 1
