"""The benchmark of fake profiles: its plan, its measures and its table."""

import numpy as np
import pytest

from recommender.services.benchmarking import shilling

KINDS = ("random", "love_hate")


def outcome(kind, auroc, flagged=(3, 1)):
    scores = dict.fromkeys((shilling.OURS, shilling.VARSELECT, shilling.FOREST), auroc)
    attacked = {} if kind == shilling.CLEAN else scores
    return shilling.Outcome(kind, "push", 0.01, 0.03, 1, attacked, attacked, flagged, (4, 2), 4, float("nan"), 1.0)


def test_the_plan_has_every_kind_at_every_size_with_its_intent():
    plan = shilling.plan(KINDS, [0.01, 0.1], [0.03])
    assert [(attack.kind, attack.intent, attack.size) for attack in plan] == [
        ("random", "push", 0.01),
        ("random", "push", 0.1),
        ("love_hate", "nuke", 0.01),
        ("love_hate", "nuke", 0.1),
    ]


def test_caught_counts_fakes_above_what_the_budget_of_real_ones_exceeds():
    scores = np.concatenate((np.arange(100.0), [98.5, 99.5, 50.0, 200.0]))
    fake = np.arange(104) >= 100
    assert shilling.caught_at(scores, fake, 0.01) == pytest.approx(0.75)


def test_the_table_tells_the_mean_the_worst_and_the_clean_set():
    lines = shilling.table("shop", [outcome(shilling.CLEAN, 0), outcome("random", 0.9), outcome("random", 0.7)])
    assert any("random" in line and "0.800" in line and "0.700" in line for line in lines)
    assert "shop without an attack: 1 at .9, 2 at .5." in lines
    told = shilling.as_json("shop", [outcome("random", 0.9)])
    assert told["results"][0]["targets"] is None
