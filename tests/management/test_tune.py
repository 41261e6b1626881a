"""manage.py tune: on the site's events and on files; what it prints, stores and refuses."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from scipy.sparse import save_npz

from recommender import tasks
from recommender.conf import conf
from recommender.engine.data.datasets import VARIABLE
from recommender.engine.data.split import random_split
from recommender.engine.trainers.als import AlsTrainer
from recommender.models import Event, Run
from recommender.services import leaderboards, tuning
from tests import shops, worlds

pytestmark = pytest.mark.django_db
SMALL = json.dumps({"factors": 2, "iterations": 3})


@pytest.fixture
def shop(db: None) -> None:
    shops.regulars()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    train, test = random_split(worlds.two_groups(), 0.3, seed=0)
    save_npz(tmp_path / "train.npz", train.matrix)
    save_npz(tmp_path / "test.npz", test.matrix)
    return ["--train", str(tmp_path / "train.npz"), "--test", str(tmp_path / "test.npz")]


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    monkeypatch.setattr(tasks, "wake", lambda run_id: calls.append(run_id) or True)
    return calls


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("tune", *arguments, stdout=out)
    return out.getvalue()


def test_without_arguments_it_tunes_the_sites_trainer_on_its_events(shop: None, settings: Any) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "trainer": "item_knn", "trainer_config": {"neighbours": 5}}
    text = run("--trials", "3")
    assert "this site's events before" in text
    assert "item_knn" in text
    board = leaderboards.find()
    assert board.of_site
    assert len(board.entries) == 3
    [first] = [entry for entry in board.entries if entry.is_first]
    assert first.trial.config == {"neighbours": 5}
    assert "(first)" in text


def test_the_same_events_are_gone_on_with_and_new_ones_are_another_study(shop: None) -> None:
    run("--trainer", "item_knn", "--trials", "2")
    run("--trainer", "item_knn", "--trials", "2")
    [board] = leaderboards.stored()[0]
    assert len(board.entries) == 4
    Event.objects.create(
        kind="view", visitor_id="visitor-00", item_id="item-01", occurred_at=shops.START.replace(year=2027)
    )
    run("--resume", "--trials", "1")
    [board] = leaderboards.stored()[0]
    assert len(board.entries) == 5  # of the events from before
    run("--trainer", "item_knn", "--trials", "1")
    assert len(leaderboards.stored()[0]) == 2


def test_events_that_are_gone_end_a_study(shop: None) -> None:
    run("--trainer", "item_knn", "--trials", "1", "--study", "mine")
    Event.objects.filter(visitor_id="visitor-03").delete()
    with pytest.raises(CommandError, match="have changed since"):
        run("--resume", "--study", "mine", "--trials", "1")


def test_every_trainer_shares_the_time(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from recommender.management.commands import tune as command

    quick = {name: command.TRAINERS[name] for name in ("popularity", "ease", "item_knn")}
    monkeypatch.setattr(command, "TRAINERS", quick)
    text = run("--trainer", "all", "--minutes", "0.05")
    assert {entry.trainer for entry in leaderboards.find().entries} == set(quick)
    assert "3 s in all" in text


def test_files_are_tuned_on_like_benchmark_names_them(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "board.json"
    text = run(*files, "--trials", "3", "--config", SMALL, "--json", str(out), "--metric", "recall", "--k", "5")
    assert "recall@5 [95 %]" in text
    found = json.loads(out.read_text())
    assert found["source"] == "npz"
    assert all((row["config"]["factors"], row["config"]["iterations"]) == (2, 3) for row in found["entries"])
    assert found["seed"] == 42
    assert "numpy" in found["versions"]


def test_the_same_seed_finds_the_same(files: list[str]) -> None:
    boards = []
    for name in ("a", "b"):
        run(*files, "--trials", "4", "--config", SMALL, "--study", name)
        boards.append([entry.trial for entry in leaderboards.find(name).entries])
    assert boards[0] == boards[1]
    run(*files, "--trials", "4", "--config", SMALL, "--study", "c", "--seed", "7")
    assert [entry.trial.config for entry in leaderboards.find("c").entries] != [trial.config for trial in boards[0]]


def test_interruption_prints_what_was_found_and_how_to_go_on(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real, fits = AlsTrainer.fit, []

    def fit(*args: Any) -> Any:
        fits.append(args)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(AlsTrainer, "fit", staticmethod(fit))
    text = run(*files, "--trials", "9", "--config", SMALL, "--study", "mine")
    assert "Interrupted. Go on with: manage.py tune --train" in text
    again = text.splitlines()[-1].split("manage.py tune ")[1].split()
    assert again[-3:] == ["--resume", "--study", "mine"]
    run(*again, "--trials", "1")
    done = [entry for entry in leaderboards.find("mine").entries if entry.trial.state == "done"]
    assert len(done) == 3


@pytest.mark.django_db(transaction=True)
def test_publish_queues_the_best_and_says_what_to_watch(shop: None, woken: list[int]) -> None:
    text = run("--trainer", "ease", "--trials", "3", "--publish")
    queued = Run.objects.get()
    assert woken == [queued.pk]
    best = leaderboards.find().best
    assert best is not None
    assert (queued.trainer, queued.requested_by) == ("ease", "manage.py tune")
    assert all(queued.config[name] == value for name, value in best.trial.config.items())
    assert f"Run {queued.pk} is queued" in text
    assert f"/admin/recommender/run/{queued.pk}/change/" in text
    assert "TRAINER=ease TRAINER_CONFIG=" in text
    with pytest.raises(CommandError, match="already active"):
        run("--leaderboard", "--publish")


@pytest.mark.django_db(transaction=True)
def test_publish_says_that_the_broker_does_not_answer(shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "wake", lambda run_id: False)
    run("--trainer", "ease", "--trials", "1")
    assert "the run waits until it does" in run("--leaderboard", "--publish")


def test_the_stored_leaderboard_is_printed_without_searching(files: list[str], shop: None) -> None:
    run(*files, "--trials", "1", "--config", SMALL, "--study", "mine")
    text = run("--leaderboard", "--study", "mine")
    assert "ndcg@10 [95 %]" in text
    assert "Searching" not in text
    assert text.strip() == run(*files, "--leaderboard").strip()
    with pytest.raises(CommandError, match="Of site: stored are mine"):
        run("--leaderboard")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--minutes", "0"], "--minutes"),
        (["--minutes", "nan"], "--minutes"),
        (["--trials", "0"], "--trials"),
        (["--threads", "0"], "--threads"),
        (["--k", "0"], "--k"),
        (["--seed", "-1"], "--seed"),
        (["--metric", "accuracy"], "invalid choice"),
        (["--trainer", "no-such"], "invalid choice"),
        (["netflix"], "none of"),
        (["--train", "x.npz"], "go together"),
        (["--resume"], "leave out --resume"),
        (["--resume", "--study", "no-such"], "There is no study no-such"),
        (["--study", "a/b"], "cannot name a study"),
        (["--leaderboard"], "none yet"),
        (["ml-1m", "--publish"], "leave out the data set"),
        (["--trials", "1"], "no interactions"),
        (["FILES", "--config", "{"], "not JSON"),
        (["FILES", "--config", '{"no_such": 1}'], "no_such"),
        (["FILES", "--config", '{"factors": 2}', "--trainer", "als", "--trainer", "ease"], "several trainers"),
        (["FILES", "--trials", "1", "--json", "/no/such/folder/x.json"], "No such file"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    files: list[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere")
    words = files + arguments[1:] if arguments[:1] == ["FILES"] else arguments
    with pytest.raises(CommandError, match=complaint):
        run(*words)


def test_a_study_keeps_its_metric_and_seed(files: list[str]) -> None:
    run(*files, "--trials", "1", "--config", SMALL, "--study", "mine", "--metric", "recall", "--seed", "5")
    for changed in (["--metric", "ndcg"], ["--k", "20"], ["--seed", "6"]):
        with pytest.raises(CommandError, match=r"searches npz by recall@10 with seed 5"):
            run(*files, "--trials", "1", "--study", "mine", *changed)
    run(*files, "--trials", "1", "--study", "mine")
    assert leaderboards.find("mine").seed == 5


@pytest.mark.parametrize("file", [tuning.PLAN, "study.journal"])
def test_damaged_studies_are_said(files: list[str], file: str) -> None:
    run(*files, "--trials", "1", "--config", SMALL, "--study", "mine")
    (conf().tuning_dir / "mine" / file).write_text("no JSON\n{}\n")
    with pytest.raises(CommandError, match="What was tuned before cannot be read"):
        run(*files, "--trials", "1", "--study", "mine")


def test_a_package_that_is_missing_is_a_message(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*args: Any) -> Any:
        raise ImportError("No module named 'implicit'")

    monkeypatch.setattr(AlsTrainer, "fit", staticmethod(fit))
    with pytest.raises(CommandError, match="implicit"):
        run(*files, "--trials", "1")
