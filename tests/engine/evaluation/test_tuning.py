from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender.engine.data.split import random_split
from recommender.engine.errors import Cancelled, InvalidConfig, NoData, StudyBusy, StudyDamaged
from recommender.engine.evaluation import panel as panels
from recommender.engine.evaluation.panel import Panel, difference
from recommender.engine.evaluation.protocol import evaluate, paired_difference
from recommender.engine.evaluation.studies import JOURNAL, Store, opened
from recommender.engine.evaluation.tuning import Search, State, Trial, best_first, search_space, tune
from recommender.engine.trainers import Options, make_config, trainer
from tests import worlds
from tests.engine.evaluation import stubs

PARTS = random_split(worlds.two_groups(), 0.3, seed=0)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> str:
    stubs.register(monkeypatch, "stub")
    return "stub"


@pytest.fixture
def panel() -> Panel:
    return Panel(*PARTS, "ndcg", 10, seed=0)


def search(panel: Panel, store: Store | None = None, seed: int = 1, **more: Any) -> Search:
    return Search("stub", panel, store=store, options=Options(seed=seed), clock=stubs.CLOCK, **more)


def fitted() -> list[tuple[int, str]]:
    return [(config.hits, config.idle) for config in stubs.FITTED]


def test_finds_settings_at_least_as_good_as_the_defaults() -> None:
    trials = tune("als", *PARTS, trials=6)
    values = [trial.value for trial in trials]
    assert values == sorted(values, reverse=True)
    assert len(trials) == 6
    assert {} in [trial.config for trial in trials]
    for trial in trials:
        make_config("als", trial.config)


def test_the_same_seed_tries_the_same_and_never_twice() -> None:
    first, second = (tune("als", *PARTS, trials=5, options=Options(seed=9)) for _ in range(2))
    assert first == second
    assert len({str(make_config("als", trial.config)) for trial in first}) == 5


def test_what_is_given_is_kept() -> None:
    trials = tune("als", *PARTS, trials=4, base={"factors": 3, "iterations": 5})
    assert all((trial.config["factors"], trial.config["iterations"]) == (3, 5) for trial in trials)


def test_a_small_space_is_exhausted() -> None:
    given = {name: values[0] for name, values in search_space("als").items() if name != "iterations"}
    trials = tune("als", *PARTS, trials=50, base=given)
    assert len(trials) == len(search_space("als")["iterations"])


def test_nothing_to_search_tries_the_defaults() -> None:
    assert [dict(trial.config) for trial in tune("popularity", *PARTS, trials=5)] == [{}]


def test_wrong_settings_and_cancelling_propagate() -> None:
    with pytest.raises(InvalidConfig):
        tune("als", *PARTS, base={"no_such": 1})

    def cancel(share: float, message: str) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        tune("als", *PARTS, options=Options(progress=cancel))


def test_finds_better_than_a_bad_base() -> None:
    """A lambda of 3,000 times the diagonal is far off; what may still be chosen makes up for a part of it."""
    trials = tune("ease", *random_split(worlds.two_groups(users=200), 0.3, seed=1), base={"regularization": 3000.0})
    [base] = [trial for trial in trials if trial.number == 0]
    assert base.config == {"regularization": 3000.0}
    assert trials[0].value > base.value + 0.005
    assert trials[0].config["regularization"] == 3000.0


def test_the_base_is_first_also_where_it_lies_outside_the_space(stub: str, panel: Panel) -> None:
    found = search(panel, start={"hits": 7, "seconds": 2.0})
    found.run()
    assert found.trials[0].config == {"hits": 7, "seconds": 2.0}
    assert fitted()[0] == (7, "a")
    assert len(fitted()) == 18  # and what is in the space: 6 times 3, less the pair that is refused
    assert all(trial.config["seconds"] == 2.0 for trial in found.trials)


def test_a_search_that_began_outside_its_space_goes_on_the_same(stub: str, panel: Panel, tmp_path: Path) -> None:
    search(panel, start={"hits": 7}).run(12)
    whole = fitted()
    stubs.FITTED.clear()
    for most in (1, 11):
        with opened(tmp_path) as store:
            search(panel, store, start={"hits": 7}).run(most)
    assert fitted() == whole


def test_every_point_once_and_the_best_of_all(stub: str, panel: Panel) -> None:
    found = search(panel)
    found.run()
    assert found.exhausted
    assert len(fitted()) == len(set(fitted())) == 17  # 6 times 3, less the pair that is refused
    assert len(found.trials) == 18
    assert found.best is not None
    assert found.best.config["hits"] == 5
    refused = [trial for trial in found.trials if trial.state == State.FAILED]
    assert [trial.config for trial in refused] == [{"hits": 4, "idle": "b"}]
    assert "4 does not go with b" in refused[0].note


def test_good_settings_are_drawn_more_often_than_chance_would(stub: str, panel: Panel) -> None:
    """Even draws, which never repeat themselves, would make less than 4 of the 12 good ones."""
    early = []
    for seed in range(6):
        found = search(panel, seed=seed)
        found.run(12)
        early.append(len([trial for trial in found.trials if trial.config.get("hits", 1) >= 4]))
    assert sum(early) / 6 >= 5


def test_value_is_what_evaluating_all_at_once_gives(stub: str, panel: Panel) -> None:
    [trial] = tune(stub, *PARTS, trials=1)
    config = make_config(stub, {})
    query = trainer(stub).query(trainer(stub).fit(PARTS[0], config, Options()), config)
    report = evaluate(query, *PARTS, (10,))
    assert trial.value == pytest.approx(report.main["ndcg@10"].value)
    assert (trial.low, trial.high) == pytest.approx((report.main["ndcg@10"].low, report.main["ndcg@10"].high))


def test_difference_is_the_protocols(stub: str, panel: Panel) -> None:
    reports, users = [], []
    for hits in (1, 3):
        query = stubs.StubQuery(hits, PARTS[0].shape[1])
        reports.append(evaluate(query, *PARTS, (10,)))
        users.append(panel.rest(query, lambda share, message: None))
    assert difference(*users) == paired_difference(*reports, "ndcg@10")


@pytest.mark.parametrize("kind", ["finite", "large", "memory"])
def test_a_trial_that_cannot_end_well_is_listed_as_failed(stub: str, panel: Panel, kind: str) -> None:
    found = search(panel, base={"fails": kind})
    found.run(20)
    assert {trial.state for trial in found.trials} == {State.FAILED}
    assert all(trial.value == -np.inf and trial.note for trial in found.trials)
    assert found.fits == 4  # enough to see that the others would fail too


def test_epochs_below_the_median_end_a_trial(stub: str, panel: Panel) -> None:
    found = search(panel, base={"epochs": 8})
    found.run()
    pruned = [trial for trial in found.trials if trial.state == State.PRUNED]
    assert pruned
    assert all(trial.note.startswith("after epoch") for trial in pruned)
    done = [trial.config.get("hits", 1) for trial in found.trials if trial.state == State.DONE]
    assert max(trial.config.get("hits", 1) for trial in pruned) < max(done) == 5


def test_a_part_of_the_users_ends_a_trial(stub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panels, "MIN_PART", 20)
    panel = Panel(*random_split(worlds.two_groups(users=200), 0.3, seed=0), "ndcg", 10, seed=0)
    assert panel.part_size == 50
    found = search(panel)
    found.run()
    pruned = [trial for trial in found.trials if trial.state == State.PRUNED]
    assert pruned
    assert all(trial.note == "by 50 of 200 users" and np.isfinite(trial.value) for trial in pruned)
    assert found.best is not None
    assert found.best.config["hits"] == 5
    assert 0 not in [trial.config.get("hits") for trial in found.trials if trial.state == State.DONE]


def test_nobody_to_ask_is_said() -> None:
    with pytest.raises(NoData, match="Nobody in the validation part"):
        Panel(PARTS[0], PARTS[0], "ndcg", 10, seed=0)


def test_time_is_kept_and_the_base_finishes_all_the_same(stub: str, panel: Panel) -> None:
    found = search(panel, base={"seconds": 10.0})
    found.run(hard=5.0)
    assert [trial.state for trial in found.trials] == [State.DONE]
    assert stubs.CLOCK.now == pytest.approx(10)


def test_a_fit_under_way_is_abandoned_when_time_is_up(stub: str, panel: Panel) -> None:
    found = search(panel, base={"seconds": 10.0})
    found.run(hard=25.0)
    assert [trial.state for trial in found.trials] == [State.DONE, State.DONE, State.ABANDONED]
    assert found.trials[-1].note == "time was up"
    assert stubs.CLOCK.now == pytest.approx(25, abs=1)


def test_no_trial_begins_that_would_end_too_late(stub: str, panel: Panel) -> None:
    found = search(panel, base={"seconds": 10.0})
    found.run(soft=25.0)
    assert [trial.state for trial in found.trials] == [State.DONE, State.DONE]


def test_a_search_goes_on_as_if_it_had_never_stopped(stub: str, panel: Panel, tmp_path: Path) -> None:
    straight = search(panel)
    straight.run(12)
    whole = fitted()
    stubs.FITTED.clear()
    for most in (5, 4, 3):
        with opened(tmp_path) as store:
            search(panel, store).run(most)
    assert fitted() == whole
    with opened(tmp_path) as store:
        again = search(panel, store)
    assert again.trials == straight.trials
    for old, new in zip(straight.trials, again.trials, strict=True):
        assert (old.users is None) == (new.users is None)
        assert old.users is None or np.array_equal(old.users, new.users)


def test_another_base_is_another_study_in_the_same_store(stub: str, panel: Panel, tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        search(panel, store).run(3)
        other = search(panel, store, base={"hits": 3})
        assert other.trials == []
        other.run()
    assert len(other.trials) == 3


def test_an_abandoned_trial_is_tried_again(stub: str, panel: Panel, tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        first = search(panel, store, base={"seconds": 10.0, "hits": 3})
        first.run(hard=15.0)
        again = search(panel, store, base={"seconds": 10.0, "hits": 3})
        again.run()
    assert [trial.state for trial in again.trials] == [State.DONE] * 3
    assert first.fits == 2


def test_interruption_keeps_what_was_found(stub: str, panel: Panel, tmp_path: Path) -> None:
    def interrupt(search: Search, trial: Trial) -> None:
        if search.fits == 2:
            raise KeyboardInterrupt

    with opened(tmp_path) as store, pytest.raises(KeyboardInterrupt):
        search(panel, store, on_trial=interrupt).run()
    with opened(tmp_path) as store:
        found = search(panel, store)
        assert len(found.trials) == 2
        found.run(1)
    assert len(set(fitted())) == 3


def test_a_killed_process_leaves_nothing_that_hinders(stub: str, panel: Panel, tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        search(panel, store).run(3)
    journal = tmp_path / JOURNAL
    with journal.open("a") as file:
        file.write('{"op_code": 6, "worker_id": "half a li')
    journal.with_name(f"{JOURNAL}.lock").touch()
    with opened(tmp_path) as store:
        search(panel, store).run(2)
    assert len(fitted()) == len(set(fitted())) == 5


@pytest.mark.parametrize("text", ["no journal\n", '{"op_code": 99}\n', "[1]\n", "\x00\n{}\n"])
def test_a_damaged_journal_is_one_clear_error(stub: str, panel: Panel, tmp_path: Path, text: str) -> None:
    (tmp_path / JOURNAL).write_text(text)
    with pytest.raises(StudyDamaged, match=r"Move that folder away"), opened(tmp_path) as store:
        search(panel, store)


def test_lost_figures_of_users_cost_only_the_comparison(stub: str, panel: Panel, tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        search(panel, store).run(2)
    [first, second] = sorted(tmp_path.glob("*.npy"))
    first.unlink()
    second.write_bytes(b"nothing")
    with opened(tmp_path) as store:
        found = search(panel, store)
        assert [trial.users for trial in found.trials] == [None, None]
        found.run(1)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(StudyBusy), opened(tmp_path):
        pass


def test_a_trial_survives_json() -> None:
    trial = Trial({"a": 1}, 0.5, State.PRUNED, 3, note="by 5 of 9 users", fit_s=1.5)
    assert Trial.from_json(trial.as_json()) == trial
    assert trial.as_json()["low"] is None


def test_order_of_the_list() -> None:
    trials = [Trial({}, -np.inf, State.FAILED, 0), Trial({}, 0.9, State.PRUNED, 1), Trial({}, 0.1, number=2)]
    trials.append(replace(trials[2], value=0.1, number=4))
    trials.append(replace(trials[2], value=0.2, number=3))
    assert [trial.number for trial in best_first(trials)] == [3, 2, 4, 1, 0]
