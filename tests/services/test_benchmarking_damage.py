"""The damage benchmark: rows, sums and words on a small world; the public sets as events, where they are there."""

import json
import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from numpy.typing import NDArray

from recommender.engine.anomaly.found import Features, Found
from recommender.engine.attacks import Attack
from recommender.engine.data.activity import Activity
from recommender.engine.data.datasets import VARIABLE
from recommender.engine.errors import InvalidConfig, InvalidDataset
from recommender.engine.options import Options, Progress
from recommender.management.benchmarks import damage as command
from recommender.services.benchmarking import damage, processes
from recommender.services.benchmarking.activities import load_activity
from recommender.services.benchmarking.damage import Measured, Plan, Row
from recommender.services.screening import drill
from recommender.services.screening.drill import Damage, Detection, Exercise
from tests.activities import PURCHASE, shop

SMALL = {"als": {"factors": 8, "iterations": 4}}
SHOP = shop((PURCHASE,))


def silent(stage: str) -> Progress:
    return lambda share, message: None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small shop in place of a data set, guarded by one who sees everything."""
    honest = set(SHOP.visitors.all)

    def find(activity: Activity, options: Options, known: Mapping[str, NDArray[Any]] | None = None) -> Found:
        ids = activity.visitors.all
        values = np.zeros((len(ids), 1), np.float32)
        return Found(
            Features(ids, ("x",), values), np.array([float(one not in honest) for one in ids]), values, [""] * len(ids)
        )

    monkeypatch.setattr(drill, "subject", lambda name: find)
    monkeypatch.setattr(damage, "load_activity", lambda name: SHOP)
    monkeypatch.setattr(processes, "apart", processes.here)


def test_attacks_are_averaged_over_seeds(world: None) -> None:
    plan = Plan("ml-1m", kinds=("bandwagon", "love_hate"), sizes=(0.2,), fillers=(0.02,), seeds=(1, 2), configs=SMALL)
    [found] = damage.measure_damage(plan, ["popularity"], silent, processes.here).values()
    assert isinstance(found, Measured) and found.cost is not None and found.cost.share == 0
    rows = damage.rows(found)
    assert [(row.attack.kind, row.attack.intent, len(row.exercises)) for row in rows] == [
        ("bandwagon", "push", 2),
        ("love_hate", "nuke", 2),
    ]
    push = rows[0]
    assert push.damage.attacked == pytest.approx(np.mean([one.damage.attacked for one in push.exercises]))
    assert push.mean("auroc") == 1 and push.damage.gain > 0.05 and push.damage.removed > 0.8
    assert len({one.target_ids for one in push.exercises}) == 2


def test_the_sum_leaves_out_attacks_that_gained_nothing() -> None:
    def row(clean: float, attacked: float, defended: float) -> Row:
        one = Damage(clean, attacked, defended, "push")
        return Row(Attack(), [Exercise(Attack(), 1, ("a",), 1, 1, Detection(1, 1, 1, 1, 1), one)])

    total = damage.summary([row(0, 0.1, 0.01), row(0, 0.02, 0.02), row(0.01, 0.0101, 0.02)])
    assert (total.gained, total.attacks) == (2, 3)
    assert total.removed == pytest.approx(1 - 0.03 / 0.12) and total.worst == pytest.approx(0)
    none = damage.summary([row(0, 0, 0)])
    assert none.gained == 0 and np.isnan(none.removed)


def test_the_command_prints_writes_and_draws(world: None, tmp_path: Path) -> None:
    out, kept, drawn = StringIO(), tmp_path / "damage.json", tmp_path / "damage.svg"
    words = ["--kind", "bandwagon", "--size", "0.1,0.2", "--filler", "0.02", "--seeds", "1", "--threads", "1"]
    plot = []
    try:
        import matplotlib  # noqa: F401

        plot = ["--plot", str(drawn)]
    except ImportError:
        pass
    call_command(
        "benchmark", "damage", "ml-1m", *words, "--config", json.dumps(SMALL), "--json", str(kept), *plot, stdout=out
    )
    said = out.getvalue()
    assert said.count("bandwagon push") == 2 and "aim: 80 %" in said and "When nobody attacks" in said
    found = json.loads(kept.read_text())
    assert [one["attack"]["size"] for one in found["trainers"]["als"]["attacks"]] == [0.1, 0.2]
    assert found["trainers"]["als"]["summary"]["attacks"] == 2
    assert not plot or "bandwagon" in drawn.read_text()


def test_a_refusal_is_said(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("ml-1m", kinds=("bandwagon",), seeds=(1,), configs=SMALL)
    monkeypatch.setattr(damage, "load_activity", load_activity)
    monkeypatch.delenv(VARIABLE, raising=False)
    found = damage.measure_damage(plan, ["als"], silent, processes.here)["als"]
    assert isinstance(found, processes.Refusal) and VARIABLE in found.reason
    assert damage.as_json(plan, {"als": found})["trainers"]["als"] == {"refused": found.reason}
    assert damage.bars({"als": found}) == {}
    with pytest.raises(InvalidConfig, match="wings"):
        damage.measure_damage(Plan("ml-1m", configs={"als": {"wings": 1}}), ["als"], silent, processes.here)
    with pytest.raises(InvalidConfig, match="size"):
        damage.measure_damage(Plan("ml-1m", sizes=(3.0,)), ["als"], silent, processes.here)


@pytest.mark.parametrize("text", ["", "much", "0", "0.1,-1", "2"])
def test_shares_are_checked(text: str) -> None:
    with pytest.raises(CommandError, match="--size"):
        command.shares("--size", text)


def test_unknown_and_missing_sets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="none of"):
        load_activity("films")
    with pytest.raises(InvalidDataset, match="cannot be read"):
        load_activity("ml-1m", tmp_path)


def _real(name: str) -> Activity:
    root = Path(os.environ.get(VARIABLE, ""))
    if not os.environ.get(VARIABLE) or not (root / name).is_dir():
        pytest.skip(f"{VARIABLE} names no folder with {name}")
    return load_activity(name)


def test_movielens_keeps_stars_and_each_users_order() -> None:
    activity = _real("ml-1m")
    assert (len(activity), len(activity.visitors), len(activity.items)) == (1_000_209, 6_040, 3_706)
    assert set(np.unique(activity.values)) == {1, 2, 3, 4, 5} and not activity.times.any()
    folder = Path(os.environ[VARIABLE]) / "ml-1m"
    names = dict(line.split() for line in (folder / "sequence_item_to_movie_id.txt").read_text().splitlines())
    with np.load(folder / "sequences.npz", allow_pickle=False) as arrays:
        first = [names[str(step)] for step in arrays["item"][arrays["user"] == 1].tolist()]
    lists = activity.items.ids(activity.item_rows[activity.visitor_rows == activity.visitors.row("5987")])
    assert lists[: len(first)] == first


def test_online_retail_has_baskets_and_times() -> None:
    activity = _real("online-retail")
    assert len(activity) > 280_000 and (np.diff(activity.times) >= 0).all()
    assert (activity.values > 0).all() and (activity.kinds == PURCHASE).all()
    baskets = np.unique(np.stack((activity.sessions, activity.visitor_rows)), axis=1)
    assert baskets.shape[1] == len(np.unique(activity.sessions))  # an invoice is one customer's
