"""Drills: what an attack moves, what a defence that sees everything or nothing is worth, and that numbers add up."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.engine.anomaly.found import Features, Found
from recommender.engine.attacks import Attack, inject
from recommender.engine.data.activity import RATING, Activity
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.weighting import EventWeights
from recommender.engine.errors import NoData
from recommender.engine.options import Options
from recommender.services.screening import copies, drill, drill_report
from recommender.services.screening.drill import Damage, Detection, Setup
from tests.activities import LIKE, PURCHASE, VIEW, shop

SETUP = Setup("als", {"factors": 8, "iterations": 5})
POPULAR = Setup("popularity")  # whose lists are moved by whoever takes an item: what is gained is plain to see
BOUGHT = shop((PURCHASE,))
PUSH = Attack("bandwagon", size=0.3, filler=0.02, selected=4)


def eyes(monkeypatch: pytest.MonkeyPatch, honest: Activity, fake: float, real: float = 0.0) -> list[Activity]:
    """Detectors that give fake and real visitors these probabilities; returns what they were shown."""
    shown: list[Activity] = []

    def find(activity: Activity, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
        shown.append(activity)
        ids, mine = activity.visitors.all, set(honest.visitors.all)
        p = np.array([real if one in mine else fake for one in ids])
        values = np.zeros((len(ids), 1), np.float32)
        return Found(Features(ids, ("nothing",), values), p, values, [""] * len(ids))

    monkeypatch.setattr(drill, "subject", lambda name: find)
    return shown


def test_a_defence_that_sees_all_undoes_the_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = eyes(monkeypatch, BOUGHT, fake=0.95)
    found = drill.exercise(drill.prepare(BOUGHT, POPULAR), PUSH, POPULAR, seed=1)
    assert found.visitors == 90 and found.damage.clean < 0.02
    assert found.damage.gain > 0.1
    assert found.damage.removed > 0.9
    assert found.detection == Detection(auroc=1.0, caught=1.0, quarantined=90, precision=1.0, left_out=1.0)
    assert shown[0].item_vectors is None  # popularity has none


def test_detectors_see_vectors_that_the_attacker_has_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = eyes(monkeypatch, BOUGHT, fake=0.95)
    ground = drill.prepare(BOUGHT, SETUP)
    drill.exercise(ground, PUSH, SETUP, seed=1)
    vectors = shown[0].item_vectors
    assert vectors is ground.activity.item_vectors
    assert vectors is not None and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_blind_defence_undoes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes(monkeypatch, BOUGHT, fake=0.2, real=0.3)
    found = drill.exercise(drill.prepare(BOUGHT, POPULAR), PUSH, POPULAR, seed=1)
    assert found.damage.attacked == found.damage.defended > 0.1
    assert found.damage.removed == 0
    assert found.detection.auroc == 0 and found.detection.caught == 0
    assert found.detection.quarantined == 0 and np.isnan(found.detection.precision)


def test_between_the_thresholds_events_count_less(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes(monkeypatch, BOUGHT, fake=0.85)
    trusted = []
    learn = copies.interactions

    def watched(activity: Activity, *rest: Any) -> Interactions:
        trusted.append(rest[2] if len(rest) > 2 else None)
        return learn(activity, *rest)

    monkeypatch.setattr(copies, "interactions", watched)
    found = drill.exercise(drill.prepare(BOUGHT, POPULAR), PUSH, POPULAR, seed=1)
    assert found.detection.left_out == 0 and found.detection.caught == 1
    assert trusted[:2] == [None, None]  # before the attack, and after it
    values, counts = np.unique(trusted[2], return_counts=True)
    assert values == pytest.approx([0.15, 1]) and counts.tolist() == [found.events, len(BOUGHT)]


def test_a_nuke_aims_at_what_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes(monkeypatch, BOUGHT, fake=0.95)
    ground = drill.prepare(BOUGHT, SETUP)
    nuke = replace(PUSH, kind="love_hate", intent="nuke")
    aimed = drill.aimed(ground, nuke, SETUP.k, seed=2)
    assert len(aimed.target_ids) == 1 and aimed == drill.aimed(ground, nuke, SETUP.k, seed=2)
    found = drill.exercise(ground, nuke, SETUP, seed=2)
    assert found.target_ids == aimed.target_ids
    assert found.damage.clean > 0.05
    named = replace(nuke, target_ids=("i00003",))
    assert drill.aimed(ground, named, SETUP.k, seed=2) is named
    assert drill.aimed(ground, PUSH, SETUP.k, seed=2) is PUSH


def test_gain_and_what_is_left_of_it() -> None:
    push = Damage(0.01, 0.11, 0.03, "push")
    assert push.gain == pytest.approx(0.1) and push.removed == pytest.approx(0.8)
    nuke = Damage(0.11, 0.01, 0.06, "nuke")
    assert nuke.gain == pytest.approx(0.1) and nuke.removed == pytest.approx(0.5)
    assert np.isnan(Damage(0.01, 0.011, 0.01, "push").removed)
    assert np.isnan(Damage(0.01, 0.05, 0.01, "nuke").removed)


@pytest.mark.parametrize("activity", [BOUGHT, shop(timed=False)], ids=["timed", "untimed"])
def test_the_cost_is_what_suspecting_the_honest_does_to_them(
    activity: Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = eyes(monkeypatch, activity, fake=1, real=0)
    nothing = drill.cost(activity, SETUP)
    assert nothing.share == 0 and nothing.suspected == 0 and nothing.difference.value == 0
    assert 0.75 < len(shown[0]) / len(activity) < 0.85  # what is asked for is not shown to the detectors
    eyes(monkeypatch, activity, fake=1, real=0.999)
    everything = drill.cost(activity, replace(SETUP, quarantine_at=1.0))
    assert everything.suspected == 1
    low, high = everything.share_range
    assert low <= everything.share <= high


def test_what_training_would_learn_of_a_copy() -> None:
    mixed = shop((VIEW, LIKE, RATING))
    weights = EventWeights(half_life_days=0)
    learned = copies.interactions(mixed, weights, 1800)
    assert learned.shape == (len(mixed.visitors), len(mixed.items))
    assert set(np.unique(learned.weights)) <= {-4, -2, 0, 1, 2, 3, 4}
    half = copies.interactions(mixed, weights, 1800, np.full(len(mixed), 0.5, np.float32))
    np.testing.assert_allclose(half.weights, learned.weights / 2)


def test_repeats_are_counted_once_and_the_last_rating_counts() -> None:
    kinds = np.array([VIEW, VIEW, PURCHASE, PURCHASE, RATING, RATING, VIEW], np.int8)
    times = np.array([0, 60, 70, 80, 90, 100, 9000], np.int64) + 1_600_000_000
    rows = np.zeros(7, np.int32)
    one = Activity(
        BOUGHT.visitors, BOUGHT.items, rows, rows, kinds, np.full(7, 4, np.float32), times, np.full(7, -1, np.int64)
    )
    assert copies.repeated(one, 1800).tolist() == [False, True, False, False, True, False, False]


def test_an_empty_shop_is_refused() -> None:
    nobody = copies.where(BOUGHT, np.zeros(len(BOUGHT), np.bool_))
    with pytest.raises(NoData):
        drill.prepare(nobody, SETUP)


def test_words_and_json_say_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    eyes(monkeypatch, BOUGHT, fake=0.95)
    ground = drill.prepare(BOUGHT, POPULAR)
    found = drill.exercise(ground, PUSH, POPULAR, seed=1)
    words = " ".join(drill_report.sentences(found, SETUP))
    assert "90 fake visitors" in words and found.target_ids[0] in words and "takes away" in words
    assert len(drill_report.cells(found)) == len(drill_report.HEADER)
    still = replace(found, damage=Damage(0.0, 0.0, 0.0, "push"))
    assert "next to nothing" in " ".join(drill_report.sentences(still, SETUP))
    cost = drill.cost(BOUGHT, SETUP)
    assert "0.00 %" in drill_report.cost_sentence(cost, SETUP)
    kept = json.loads(json.dumps(drill_report.as_json([found, still], cost, SETUP), allow_nan=False))
    assert kept["exercises"][0]["removed"] == found.damage.removed and kept["exercises"][1]["removed"] is None
    assert kept["cost"]["share"] == 0


def test_the_copy_is_not_the_shop() -> None:
    before = BOUGHT.item_rows.copy()
    inject(BOUGHT, PUSH)
    np.testing.assert_array_equal(BOUGHT.item_rows, before)
