"""Studies of the site's events: what they look at, how they go on, and what becomes of their leaderboards."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.conf import conf
from recommender.engine.data.datasets import Dataset
from recommender.engine.data.split import random_split, share_split
from recommender.engine.errors import NoData, StudyDamaged
from recommender.engine.evaluation.trials import State, Trial
from recommender.engine.trainers import Options
from recommender.models import Event, Run, Visitor
from recommender.services import event_log, leaderboards, tuning
from recommender.services.errors import InvalidInput, RunActive, UnknownStudy
from recommender.services.leaderboards import Board
from tests import shops, worlds
from tests.engine.evaluation import stubs

pytestmark = pytest.mark.django_db


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> str:
    stubs.register(monkeypatch, "stub", "stub_2")
    return "stub"


@pytest.fixture
def shop(db: None) -> None:
    shops.regulars()


@pytest.fixture
def source() -> tuning.Source:
    train, test = random_split(worlds.two_groups(), 0.2, seed=0)
    return tuning.dataset_source(Dataset("two groups", train, None, test, "as drawn"), 1)


def session(source: tuning.Source, name: str = "one", trainers: Any = ("stub",), **bounds: Any) -> Board:
    plan = tuning.known_plan(name) or tuning.plan(source, "ndcg", 10, 1)
    found = tuning.Session(name, plan, source, options=Options(), clock=stubs.CLOCK)
    return found.run(list(trainers), **(bounds or {"fits": 3}))


def test_the_runs_test_part_is_left_out(shop: None) -> None:
    source = tuning.site_source()
    kept, _ = event_log.without_repeats(event_log.read())
    history, test, cutoff = share_split(event_log.interactions(kept), conf().test_share)
    assert len(source.train) + len(source.validation) <= len(history)
    assert source.train.times.max() < source.validation.times.min()
    assert source.validation.times.max() < cutoff <= test.times.min()
    assert source.until == event_log.read().times.max()


def test_events_that_come_later_change_nothing(shop: None) -> None:
    before = tuning.site_source()
    last = event_log.moment(int(event_log.read().times[-1]))
    Event.objects.create(kind="view", visitor_id="visitor-00", item_id="item-00", occurred_at=last + timedelta(hours=1))
    assert tuning.fingerprint(tuning.site_source(before.until), 1) == tuning.fingerprint(before, 1)
    assert tuning.fingerprint(tuning.site_source(), 1) != tuning.fingerprint(before, 1)
    assert tuning.fingerprint(before, 2) != tuning.fingerprint(before, 1)


def test_too_few_events_are_said(items: Any) -> None:
    with pytest.raises(NoData):
        tuning.site_source()
    Visitor.objects.create(id="one", kind="external")
    Event.objects.create(kind="view", visitor_id="one", item_id="sea-00", occurred_at=shops.START)
    with pytest.raises(NoData, match="too few to choose settings by"):
        tuning.site_source()


def test_a_study_grows_and_nothing_is_fitted_twice(stub: str, source: tuning.Source) -> None:
    first = session(source)
    second = session(source)
    assert (len(first.entries), len(second.entries)) == (3, 6)
    assert len(stubs.FITTED) == len(set(stubs.FITTED)) == 6
    assert leaderboards.find("one") == second


def test_another_trainer_joins_the_board_of_its_study(stub: str, source: tuning.Source) -> None:
    session(source)
    board = session(source, trainers=["stub_2"], fits=1)
    assert {entry.trainer for entry in board.entries} == {"stub", "stub_2"}
    assert board.count(State.DONE) == 4
    plan = tuning.known_plan("one")
    assert plan is not None
    assert set(plan.trainers) == {"stub", "stub_2"}


def test_standing_follows_from_the_paired_interval(stub: str, source: tuning.Source) -> None:
    board = session(source, fits=18)
    best = board.best
    assert best is not None
    assert best.trial.config["hits"] == 5
    standings = {entry.standing for entry in board.entries if entry.trial.config.get("hits", 1) == 5}
    assert standings == {"best", "tie"}  # what is idle changes nothing
    for entry in board.entries[1:]:
        if entry.behind is not None:
            assert entry.standing == ("tie" if entry.behind.low <= 0 else "worse")
    assert board.entries[-1].standing == "failed"
    assert "chance explains" in "\n".join(leaderboards.notes(board))


def test_interruption_is_noted_and_keeps_what_was_found(stub: str, source: tuning.Source) -> None:
    def interrupt(trainer: str, trial: Trial, best: Trial | None) -> None:
        if trial.number == 1:
            raise KeyboardInterrupt

    plan = tuning.plan(source, "ndcg", 10, 1)
    board = tuning.Session("one", plan, source, options=Options(), on_trial=interrupt).run(["stub"], fits=9)
    assert (board.ended, len(board.entries)) == ("interrupted", 2)
    assert leaderboards.find("one").ended == "interrupted"


def test_the_first_trial_is_what_the_site_has(stub: str, source: tuning.Source) -> None:
    plan = replace(tuning.plan(source, "ndcg", 10, 1), starts={"stub": {"hits": 3}}, fixed={"stub": {"idle": "b"}})
    tuning.Session("one", plan, source, options=Options()).run(["stub"], fits=3)
    assert (stubs.FITTED[0].hits, stubs.FITTED[0].idle) == (3, "b")
    assert {config.idle for config in stubs.FITTED} == {"b"}
    assert len({config.hits for config in stubs.FITTED}) == 3


def test_time_goes_to_every_trainer(stub: str, source: tuning.Source) -> None:
    board = session(source, trainers=["stub", "stub_2"], seconds=10)
    assert {entry.trainer for entry in board.entries} == {"stub", "stub_2"}
    assert stubs.CLOCK.now <= 10.1


def test_latest_study_of_a_source(stub: str, source: tuning.Source) -> None:
    session(source, "old")
    session(source, "new")
    session(replace(source, name="other"), "elsewhere")
    assert tuning.latest("two groups") == "new"
    with pytest.raises(UnknownStudy, match="leave out --resume"):
        tuning.latest("site")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"source": "x"}', '{"trainers": 5}', "\x00"])
def test_damaged_plan_is_one_clear_error(text: str, stub: str, source: tuning.Source) -> None:
    session(source)
    (conf().tuning_dir / "one" / tuning.PLAN).write_text(text)
    with pytest.raises(StudyDamaged, match="another name"):
        tuning.known_plan("one")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 101, "a b"])
def test_what_cannot_name_a_study(name: str) -> None:
    with pytest.raises(InvalidInput):
        tuning.known_plan(name)


def test_boards_that_cannot_be_read_are_named_and_the_others_shown(stub: str, source: tuning.Source) -> None:
    good = session(source)
    texts = ["", "[]", "null", '{"format": 99}', json.dumps({**good.as_json(), "entries": [{}]}), "[" * 100_000]
    texts += [
        json.dumps({**good.as_json(), "updated_at": "2026-01-01T00:00:00"}),
        json.dumps({**good.as_json(), "out": 5}),
    ]
    for number, text in enumerate(texts):
        folder = conf().tuning_dir / f"bad-{number}"
        folder.mkdir()
        (folder / leaderboards.FILE).write_text(text)
    boards, damaged = leaderboards.stored()
    assert boards == [good]
    assert damaged == [f"bad-{number}" for number in range(len(texts))]
    with pytest.raises(UnknownStudy, match="cannot be read"):
        leaderboards.find("bad-1")
    with pytest.raises(UnknownStudy, match="stored are one"):
        leaderboards.find(source="site")


def test_nothing_was_tuned_yet() -> None:
    assert leaderboards.stored() == ([], [])
    with pytest.raises(UnknownStudy, match="none yet"):
        leaderboards.find()


def test_table_has_a_line_for_each_and_no_infinities(stub: str, source: tuning.Source) -> None:
    board = session(source, fits=18)
    lines = leaderboards.table(board, rows=30)
    assert len(lines) == 2 + len(board.entries)
    assert "inf" not in "\n".join(lines).lower()
    assert "(first)" in "\n".join(lines)
    json.dumps(board.as_json(), allow_nan=False)


def test_training_with_an_entry_queues_a_run_with_its_settings(shop: None) -> None:
    source = tuning.site_source()
    plan = tuning.plan(source, "ndcg", 10, 7)
    board = tuning.Session("mine", plan, source, options=Options()).run(["ease"], fits=3)
    best = board.best
    assert best is not None
    run = leaderboards.request_training(best, board, "ada")
    assert (run.status, run.trainer, run.requested_by, run.options["seed"]) == (Run.Status.QUEUED, "ease", "ada", 7)
    assert {name: run.config[name] for name in best.trial.config} == dict(best.trial.config)
    assert "mine" in run.reason
    with pytest.raises(RunActive):
        leaderboards.request_training(best, board)


def test_what_suits_another_data_set_is_not_trained_with(stub: str, source: tuning.Source) -> None:
    board = session(source)
    with pytest.raises(InvalidInput, match="two groups"):
        leaderboards.request_training(board.entries[0], board)
    assert not Run.objects.exists()


def test_name_is_made_of_what_is_searched(source: tuning.Source) -> None:
    name = tuning.default_name(tuning.plan(source, "recall", 20, 1))
    assert name.startswith("two-groups-recall20-")
    assert tuning.known_plan(name) is None
    assert tuning.label("a/../b c.txt") == "a-b-c-txt"


def test_a_lost_journal_costs_the_trials_only(stub: str, source: tuning.Source) -> None:
    session(source)
    folder: Path = conf().tuning_dir / "one"
    (folder / "study.journal").write_text("nonsense\n{}\n")
    with pytest.raises(StudyDamaged, match="Move that folder away"):
        session(source)
    assert np.isfinite(leaderboards.find("one").entries[0].trial.value)  # the board is still there to look at
