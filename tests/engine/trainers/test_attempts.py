import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.engine.data.interactions import Interactions
from recommender.engine.trainers import TRAINERS, Options
from recommender.engine.trainers import attempts as attempting
from recommender.engine.trainers.als import AlsTrainer
from recommender.engine.trainers.attempts import as_good
from recommender.engine.trainers.auto import _can_learn
from recommender.engine.trainers.item_knn import ItemKnnTrainer
from recommender.engine.trainers.parts import Cut, Judge, cut
from recommender.engine.trainers.popularity import PopularityTrainer
from recommender.engine.trainers.presets import PRESETS
from tests import worlds
from tests.engine.trainers.test_auto import choose, tastes


def test_one_season_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Popularity is best in the last weeks, and ALS in those before."""
    events: list[int] = []

    def ndcg(self: Judge, query: Any, progress: Any = None) -> Any:
        events.append(len(self.histories.item_rows))
        last = events[-1] == max(events)
        figure = (0.45 if last else 0.4) if query.item_vectors is not None else (0.46 if last else 0.3)
        return np.full(len(self), figure) + 0.01 * np.random.default_rng(0).random(len(self))

    monkeypatch.setattr(Judge, "ndcg", ndcg)
    for candidates in (("popularity", "als"), ("als", "popularity")):
        chosen = [choose(tastes(users=300), candidates=candidates, cuts=cuts) for cuts in (1, 2)]
        assert [choice["name"] for choice in chosen] == ["popularity", "als"]
        assert [choice["cuts"] for choice in chosen] == [1, 2]
        assert [one["cuts"] for one in chosen[1]["tried"]] == [2, 2]
        assert chosen[1]["tried"][0]["ndcg@10"] == pytest.approx(0.43, abs=0.01)


def test_who_is_far_behind_is_not_judged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = PopularityTrainer.fit

    def noted(data: Interactions, *rest: Any) -> Any:
        sizes.append(len(data))
        return real(data, *rest)

    monkeypatch.setattr(PopularityTrainer, "fit", staticmethod(noted))
    monkeypatch.setattr("recommender.engine.trainers.auto.PRESETS", {"als": PRESETS["als"], **PRESETS})
    choice = choose(tastes(users=300), candidates=("popularity", "als"))
    cuts = {one["name"]: one["cuts"] for one in choice["tried"]}
    assert cuts == {"als": 3, "popularity": 1}
    assert sizes == [1530]


class Clock:
    """Time as the attempts see it: every look at it costs a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


def slow(monkeypatch: pytest.MonkeyPatch, kind: Any, ticks: int, clock: Clock, step_s: float) -> None:
    real = kind.fit

    def fit(data: Any, config: Any, options: Options) -> Any:
        for tick in range(ticks):
            clock.now += step_s
            options.progress(tick / ticks, f"tick {tick}")
        return real(data, config, options)

    monkeypatch.setattr(kind, "fit", staticmethod(fit))


def test_a_fit_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = Clock(), []
    monkeypatch.setattr(attempting, "time", clock)
    slow(monkeypatch, AlsTrainer, 100, clock, 30)
    options = Options(progress=lambda share, message: said.append((clock.now, message)))
    choice = choose(tastes(), options, candidates=("popularity", "als"), minutes=10)
    assert choice["name"] == "popularity"
    [(when, message)] = [(when, message) for when, message in said if "given up" in message]
    assert "als: given up after" in message
    assert when < 300  # its own progress says that 3,000 seconds are needed: no use in waiting for all that there are


def test_one_that_learns_in_epochs_learns_fewer_where_time_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Epochs:
        epochs: int = 100

    class Slow(PopularityTrainer):
        Config = Epochs

        @staticmethod
        def fit(data: Interactions, config: Any, options: Options) -> Any:
            for epoch in range(config.epochs):
                clock.now += 10
                options.progress((epoch + 1) / config.epochs, "epoch")
            return PopularityTrainer.fit(data, PopularityTrainer.Config(), Options())

    clock, said = Clock(), []
    monkeypatch.setattr(attempting, "time", clock)
    monkeypatch.setattr("tests.engine.trainers.test_attempts.Slow", Slow, raising=False)
    monkeypatch.setitem(TRAINERS, "slow", "tests.engine.trainers.test_attempts.Slow")
    options = Options(progress=lambda share, message: said.append(message))
    choice = choose(tastes(), options, candidates=("slow",), minutes=10)  # 6 to try in, 1,100 s for all epochs
    [one] = choice["tried"]
    assert 15 <= one["config"]["epochs"] <= 33
    assert f"slow: time for {one['config']['epochs']} epochs" in said


def test_what_had_no_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(attempting, "time", clock)
    slow(monkeypatch, AlsTrainer, 100, clock, 30)
    choice = choose(tastes(), candidates=("popularity", "als"), minutes=10)
    assert list(choice["left_out"]) == ["als"]
    assert choice["left_out"]["als"].startswith("given up after")


def test_no_time_at_all_still_gives_a_model() -> None:
    choice = choose(tastes(), candidates=("popularity", "item_knn"), minutes=0)
    assert choice["name"] == "item_knn"
    assert choice["tried"] == []


def test_no_time_is_left_for_tuning_or_a_blend(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(attempting, "time", clock)
    slow(monkeypatch, ItemKnnTrainer, 4, clock, 18)
    config = {"candidates": ("popularity", "item_knn"), "minutes": 2.5, "trials": 50}
    choice = choose(tastes(), blend=True, **config)
    assert {one["name"] for one in choice["tried"]} <= {"popularity", "item_knn", "blend"}
    assert sum(one["tuned"] for one in choice["tried"]) <= 1


def test_progress_names_the_leader_so_far() -> None:
    said: list[str] = []
    options = Options(progress=lambda share, message: said.append(message))
    choose(tastes(), options, candidates=("popularity", "item_knn", "als"))
    assert any(message.startswith("als (so far item_knn 0.") for message in said)
    assert any("is chosen: NDCG@10" in message for message in said)


def test_every_attempt_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders: list[Path | None] = []
    real = ItemKnnTrainer.fit

    def noted(data: Any, config: Any, options: Options) -> Any:
        folders.append(options.checkpoints)
        return real(data, config, options)

    monkeypatch.setattr(ItemKnnTrainer, "fit", staticmethod(noted))
    choose(tastes(), Options(checkpoints=tmp_path), candidates=("item_knn", "item_knn_untimed"), trials=3)
    assert len(set(folders)) == len(folders) >= 5


@pytest.mark.parametrize(
    ("worse_by", "noise", "good"), [(0.0, 0.3, True), (0.001, 0.3, True), (0.02, 0.3, False), (0.001, 0.0, False)]
)
def test_as_good_is_what_chance_explains_and_costs_next_to_nothing(worse_by: float, noise: float, good: bool) -> None:
    random = np.random.default_rng(0)
    best = random.random(2000)
    change = noise * random.standard_normal(2000)
    change += -worse_by * best.mean() - change.mean()
    assert as_good(best + change, best, 0) is good


def test_what_learns_long_finds_time_reserved_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, allowed = Clock(), {}
    monkeypatch.setattr(attempting, "time", clock)
    order = {name: PRESETS[name] for name in ("popularity", "als", "bpr", "lmf", "matrix", "sasrec_short")}
    monkeypatch.setattr("recommender.engine.trainers.auto.PRESETS", order)

    def spend(self: attempting.Search, name: str, trainer: str, config: Any, span: Any, allowed_s: float) -> None:
        allowed[name] = allowed_s
        clock.now += max(allowed_s, 0) if name != "popularity" else 1
        values = np.full(len(self.cuts[0].judge), 0.1)
        self.entries.append(attempting.Entry("popularity", "popularity", None, 0, values, 1.0))

    monkeypatch.setattr(attempting.Search, "attempt", spend)
    with contextlib.suppress(TypeError):  # what was spent on is no model
        choose(tastes(), minutes=10)
    assert list(allowed) == list(order)
    assert 0.4 * 360 - 20 <= allowed["sasrec_short"] <= 0.4 * 360 + 30  # 6 of the 10 minutes are for presets


def test_no_time_is_reserved_for_what_could_not_use_it() -> None:
    data = tastes()
    rest, judge = cut(data, 0.15, 6000, Options())
    assert judge is not None
    enough, little = (attempting.Search([Cut(rest, judge)], Options(), seconds) for seconds in (60, 0.01))
    assert _can_learn(enough, "sasrec_short")
    assert not _can_learn(little, "sasrec_short")
    assert not _can_learn(enough, "als")
    assert not _can_learn(enough, "no_preset")


def test_seconds_of_an_epoch_are_those_that_were_measured() -> None:
    """On ml-1m-sequences 28 to 32 CPU seconds."""
    million = worlds.long_tail(users=1)
    data = replace(million, item_rows=np.zeros(987_531, np.int32))
    sized = replace(data, user_rows=data.item_rows, items=worlds.numbered(3416, "i"))
    assert 25 < PRESETS["sasrec_long"].epoch_s(sized) < 40
    assert PRESETS["als"].epoch_s(sized) == 0
