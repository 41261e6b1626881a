"""Processes of their own, verdicts, exponents: what the benchmark's figures rest on."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from recommender.engine.data.datasets import Dataset
from recommender.engine.data.split import random_split
from recommender.engine.errors import TooLarge
from recommender.engine.evaluation.bootstrap import Interval
from recommender.engine.evaluation.protocol import evaluate
from recommender.engine.options import Progress
from recommender.engine.trainers import Options
from recommender.engine.trainers.popularity import PopularityConfig, PopularityTrainer
from recommender.services.benchmarking import processes, scale, tables
from recommender.services.benchmarking.accuracy import Setup, measure_accuracy, top_lists, verdict
from recommender.services.benchmarking.processes import Limits, Refusal, Watch, apart
from tests import worlds


def silent(stage: str) -> Progress:
    return lambda share, message: None


def add(watch: Watch, a: int, b: int) -> tuple[int, int]:
    watch("adding")(1.0, "done")
    return a + b, os.getpid()


def refuse(watch: Watch) -> None:
    raise TooLarge("It takes 9 MiB.")


def hold(watch: Watch, mib: int) -> int:
    held = np.ones(mib * 2**20, dtype=np.uint8)
    time.sleep(30)
    return int(held[-1])


def break_down(watch: Watch) -> None:
    raise ZeroDivisionError("a fault of ours")


def die(watch: Watch, number: int) -> None:
    os.kill(os.getpid(), number)


def test_work_has_a_process_of_its_own_and_tells_its_progress() -> None:
    told: list[tuple[str, float, str]] = []
    found = apart(add, 2, 3, watch=lambda stage: lambda share, message: told.append((stage, share, message)))
    assert not isinstance(found, Refusal)
    assert found[0] == 5 and found[1] != os.getpid()
    assert told == [("adding", 1.0, "done")]


def test_what_goes_wrong_is_said() -> None:
    assert apart(refuse, watch=silent) == Refusal("This would need more memory than is allowed. It takes 9 MiB.")
    assert apart(break_down, watch=silent) == Refusal("Failed: ZeroDivisionError: a fault of ours")
    assert apart(die, signal.SIGKILL, watch=silent) == Refusal("Killed, as the system does when memory runs out.")
    assert apart(die, signal.SIGTERM, watch=silent) == Refusal("Ended by SIGTERM.")


def test_limits_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOOKED_AT_EVERY_S", 0.05)
    assert apart(hold, 1, watch=silent, limits=Limits(seconds=0.2)) == Refusal("Over the limit of 0.2 s.")
    found = apart(hold, 300, watch=silent, limits=Limits(seconds=20, mib=200))
    assert found == Refusal("Memory: over the limit of 200 MiB.")


def test_one_trainers_memory_is_not_the_nexts() -> None:
    """A large world's trainer first, then a small one's: the second holds less, as it would alone."""
    small, large = worlds.two_groups(), worlds.two_groups(users=4000, items=2000, per_user=30)
    peaks = []
    for data in (large, small):
        train, test = random_split(data, 0.3, seed=0)
        [row] = measure_accuracy(Dataset("world", train, None, test, "random"), ["popularity"], Setup(), silent)
        assert not isinstance(row.found, Refusal)
        peaks.append(row.found.score_mib)
    assert peaks[1] < 0.7 * peaks[0]


@pytest.mark.parametrize(
    ("low", "high", "word"), [(0.01, 0.02, "better"), (-0.02, -0.01, "worse"), (-0.01, 0.01, "ties"), (0, 0, "ties")]
)
def test_a_difference_is_only_named_where_its_interval_leaves_out_zero(low: float, high: float, word: str) -> None:
    assert verdict(Interval((low + high) / 2, low, high)) == word


def test_lists_are_what_the_protocol_ranks() -> None:
    train, test = random_split(worlds.long_tail(), 0.3, seed=0)
    query = PopularityTrainer.query(PopularityTrainer.fit(train, PopularityConfig(), Options()), PopularityConfig())
    report = evaluate(query, train, test, (5,), samples=1)
    lists = top_lists(query, train, report.user_rows, 5)
    wanted = test.matrix.toarray() > 0
    known = train.matrix.toarray() > 0
    hits = [wanted[user, row].sum() for user, row in zip(report.user_rows, lists, strict=True)]
    assert report.per_user["recall@5"].tolist() == (hits / wanted[report.user_rows].sum(axis=1)).tolist()
    assert not any(known[user, row].any() for user, row in zip(report.user_rows, lists, strict=True))


def test_exponents_are_those_of_the_largest_sizes() -> None:
    events = [100, 1000, 2000, 4000]
    assert scale.exponent(events, [9999.0, *(3 * size**1.5 for size in events[1:])]) == pytest.approx(1.5)
    assert scale.exponent([1000], [1.0]) is None


def test_columns_line_up_and_words_may_be_longer() -> None:
    lines = tables.layout(["name", "a", "b"], [["x", "1", "22"], ["a long name", "no result: because"]])
    assert lines == [
        "name         a   b",
        "-----------  -  --",
        "x            1  22",
        "a long name  no result: because",
    ]


def test_scale_reads_what_it_wrote(tmp_path: Path) -> None:
    configs = {"als": {"factors": 4, "iterations": 2}}
    measured, pairs = scale.measure_scale(
        ["als"], [1500], configs=configs, rounds=1, watch=silent, run=processes.here
    )  # fmt: skip
    assert measured[0].label == "als, 2 iterations" and measured[0].pairs > 500
    assert scale.from_json(scale.scale_json(measured, pairs)) == (measured, pairs)
