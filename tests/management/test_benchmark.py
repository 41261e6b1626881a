"""manage.py benchmark on small files: the table, the notes, the JSON, and what it refuses."""

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from scipy.sparse import save_npz

from recommender.engine.data.datasets import VARIABLE, Dataset, from_npz
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import random_split
from recommender.engine.loading import load
from recommender.engine.trainers import TRAINERS, Options, make_config
from recommender.engine.trainers.popularity import PopularityTrainer
from recommender.management.benchmarks import BENCHMARKS, chosen_trainers
from recommender.services.benchmarking import accuracy, processes
from recommender.services.benchmarking.accuracy import Setup, measure_accuracy
from tests import worlds

SETTINGS = sorted((Path(__file__).parent.parent / "benchmarks" / "settings").glob("*.json"))
SMALL = {"als": {"factors": 2, "iterations": 5}}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick; tests/services/test_benchmarking.py has those in processes of their own."""
    monkeypatch.setattr(processes, "apart", processes.here)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The two groups as a pair of matrices, in the command's own words."""
    train, test = random_split(worlds.two_groups(), 0.3, seed=0)
    save_npz(tmp_path / "train.npz", train.matrix)
    save_npz(tmp_path / "test.npz", test.matrix)
    return ["--train", str(tmp_path / "train.npz"), "--test", str(tmp_path / "test.npz")]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("benchmark", "accuracy", *arguments, stdout=out)
    return out.getvalue()


def test_the_table_has_popularity_beside_the_trainer(files: list[str]) -> None:
    lines = run(*files, "--k", "5,10", "--metrics", "recall,ndcg,mrr", "--config", json.dumps(SMALL)).splitlines()
    assert lines[0].split()[0] == "trainer"
    assert [name for name in ("recall@5", "recall@10", "ndcg@5", "mrr@10") if name not in lines[0]] == []
    assert [line.split()[0] for line in lines[2:4]] == ["popularity", "als"]
    assert len({len(line) for line in lines[:4]}) == 1
    text = "\n".join(lines)
    assert "factors=2" in text
    assert "60 test users with a history, 0 cold ones" in text
    assert "als over popularity in ndcg@5: +0." in text


def test_json_holds_everything(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    run(*files, "--json", str(out), "--config", json.dumps(SMALL["als"]))
    found = json.loads(out.read_text())
    popular, als = found["results"]
    assert (popular["trainer"], als["trainer"]) == ("popularity", "als")
    assert als["config"]["factors"] == 2
    assert als["over_popularity"]["ndcg@10"]["low"] > 0
    assert als["report"]["metrics"]["recall@20"]["value"] > popular["report"]["metrics"]["recall@20"]["value"]
    assert found["versions"]["numpy"] == np.__version__
    assert als["fit_mib"] > 0 and als["score_mib"] > 0 and als["fit_cpu_s"] > 0
    assert als["beside_the_best"]["verdict"] == "best" and popular["beside_the_best"]["verdict"] == "worse"


def test_the_same_seed_gives_the_same_figures(files: list[str]) -> None:
    first, second = (run(*files).splitlines()[3].split("  ") for _ in range(2))
    figures = [cell.strip() for cell in first if "[" in cell]
    assert figures == [cell.strip() for cell in second if "[" in cell]
    assert len(figures) == 4


def test_tuning_says_what_it_chose_and_that_it_refitted(files: list[str]) -> None:
    text = run(*files, "--tune", "3", "--config", json.dumps(SMALL))
    assert "best of 3 on the validation part; refitted with the validation part" in text


def test_it_says_what_was_chosen_by_a_trainer_that_chooses(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    chosen = {"blend": {"parts": ["item_knn", "popularity"], "weights": [3, 1]}}
    text = run(*files, "--trainer", "blend", "--config", json.dumps(chosen), "--json", str(out))
    assert "blend chose item_knn 0.75, popularity 0.25." in text
    assert json.loads(out.read_text())["results"][1]["settled"]["parts"][0]["weight"] == 0.75


def test_sequences_with_a_validation_part_are_not_refitted_unless_asked(tmp_path: Path) -> None:
    data = worlds.two_groups()
    path = tmp_path / "sequences.txt"
    path.write_text("".join(f"{u} {i}\n" for u, i in zip(data.user_rows, data.item_rows, strict=True)))
    given = ["--sequences", str(path), "--tune", "2", "--config", json.dumps(SMALL)]
    assert "best of 2 on the validation part; fitted without" in run(*given)
    assert "best of 2 on the validation part; refitted" in run(*given, "--refit")


def test_tuning_never_reads_the_test_part(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The test part is asked for once per trainer, after all that is chosen has been chosen."""
    dataset = from_npz(Path(files[1]), Path(files[3]))
    log: list[str] = []

    class Watched(Dataset):
        @property
        def test(self) -> Interactions:  # type: ignore[override]
            log.append("test")
            return dataset.test

    watched = object.__new__(Watched)
    watched.__dict__.update({key: value for key, value in vars(dataset).items() if key != "test"})
    original = accuracy.tune

    def tune(*args: Any, **kwargs: Any) -> Any:
        before = len(log)
        found = original(*args, **kwargs)
        log.append("tuned" if len(log) == before else "leaked")
        return found

    monkeypatch.setattr(accuracy, "tune", tune)
    setup = Setup(configs=SMALL, tune_trials=2)
    measure_accuracy(watched, ["als"], setup, lambda stage: lambda share, message: None, processes.here)
    assert log == ["test", "tuned", "test"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Name a data set"),
        (["gowalla", "--sequences", "x"], "Name a data set"),
        (["--train", "x.npz"], "go together"),
        (["--train", "x.npz", "--test", "y.npz"], "x.npz is not there"),
        (["--sequences", "none.txt"], "none.txt is not there"),
        (["netflix"], "none of"),
        (["FILES", "--k", "0"], "--k"),
        (["FILES", "--k", "ten"], "--k"),
        (["FILES", "--metrics", "accuracy"], "--metrics"),
        (["FILES", "--config", "{"], "not JSON"),
        (["FILES", "--config", "[1]"], "JSON object"),
        (["FILES", "--config", '{"no_such": 1}'], "no_such"),
        (["FILES", "--config", '{"factors": 2}', "--trainer", "all"], "several trainers"),
        (["FILES", "--trainer", "no-such"], "invalid choice"),
        (["FILES", "--trainer", "als", "--skip", "als"], "leaves no trainer"),
        (["FILES", "--configs", "none.json"], "none.json cannot be read"),
        (["FILES", "--plot", "out.pdf"], "out.pdf"),
        (["FILES", "--plot", "nowhere/out.svg"], "nowhere is not a folder"),
        (["FILES", "--json", "nowhere/out.json"], "nowhere is not a folder"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    files: list[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], complaint: str
) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere")
    words = files + arguments[1:] if arguments[:1] == ["FILES"] else arguments
    with pytest.raises(CommandError, match=complaint):
        run(*words)


def test_every_benchmark_has_help() -> None:
    assert all(load(BENCHMARKS, name).help for name in BENCHMARKS)


def test_all_is_every_trainer_but_those_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"trainer": ["all"], "skip": ["als"]}
    assert chosen_trainers(options) == [name for name in TRAINERS if name != "als"]


def test_settings_come_from_a_file_and_over_it_from_words(files: list[str], tmp_path: Path) -> None:
    path = tmp_path / "configs.json"
    path.write_text(json.dumps({"als": {"factors": 3, "iterations": 2}, "ease": {"regularization": 5.0}}))
    text = run(*files, "--trainer", "als", "--trainer", "ease", "--configs", str(path), "--config", json.dumps(SMALL))
    assert "factors=2" in text and "iterations=5" in text and "regularization=5.0" in text


def test_the_table_says_who_leads_who_ties_and_who_is_worse(files: list[str]) -> None:
    """popularity knows no groups; ease twice would tie, and so does ease with one more neighbour."""
    lines = run(*files, "--trainer", "als", "--trainer", "ease", "--config", json.dumps(SMALL)).splitlines()
    standing = {line.split()[0]: line for line in lines[2:5]}
    assert " worse " in standing["popularity"]
    assert sum(" best " in line for line in standing.values()) == 1


def test_a_refusal_is_a_row_and_the_rest_goes_on(tmp_path: Path) -> None:
    train, test = random_split(worlds.two_groups(users=100, items=2000, per_user=60), 0.3, seed=0)
    save_npz(tmp_path / "train.npz", train.matrix)
    save_npz(tmp_path / "test.npz", test.matrix)
    out = tmp_path / "out.json"
    lines = run(
        "--train", str(tmp_path / "train.npz"), "--test", str(tmp_path / "test.npz"), "--json", str(out),
        "--trainer", "ease", "--trainer", "als", "--config", json.dumps({"ease": {"memory_mib": 1}, **SMALL}),
    ).splitlines()  # fmt: skip
    assert lines[3].startswith("ease") and "no result: This would need more memory than is allowed." in lines[3]
    assert lines[4].startswith("als") and "[" in lines[4]
    found = json.loads(out.read_text())
    assert [one["trainer"] for one in found["refused"]] == ["ease"]
    assert [one["trainer"] for one in found["results"]] == ["popularity", "als"]


def test_nothing_to_compare_with_is_an_error(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "apart", lambda *args, **kwargs: processes.Refusal("Over the limit of 1 s."))
    with pytest.raises(CommandError, match="Over the limit of 1 s"):
        run(*files)


def test_trainers_hear_what_is_held_out_unless_they_are_to_learn_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = worlds.two_groups()
    path = tmp_path / "sequences.txt"
    path.write_text("".join(f"{u} {i}\n" for u, i in zip(data.user_rows, data.item_rows, strict=True)))
    heard: list[tuple[int, int | None]] = []
    original = PopularityTrainer.fit

    def fit(data: Interactions, config: Any, options: Options) -> Any:
        heard.append((len(data), None if options.held is None else len(options.held)))
        return original(data, config, options)

    monkeypatch.setattr(PopularityTrainer, "fit", staticmethod(fit))
    run("--sequences", str(path), "--trainer", "popularity")
    run("--sequences", str(path), "--trainer", "popularity", "--refit")
    assert heard == [(480 - 120, 60), (480 - 60, None)]


def test_a_plot_is_drawn(files: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="requirements-benchmarks.txt is not installed")
    run(*files, "--config", json.dumps(SMALL), "--plot", str(tmp_path / "out.svg"))
    drawn = (tmp_path / "out.svg").read_text()
    assert [word for word in ("popularity", "als", "NDCG@10", "seconds", "recsite") if word not in drawn] == []
    run(*files, "--config", json.dumps(SMALL), "--plot", str(tmp_path / "out.png"), "--clock", "cpu")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_matplotlib_is_said_before_anything_is_measured(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(processes, "apart", None)
    with pytest.raises(CommandError, match=r"pip install -r requirements-benchmarks\.txt"):
        run(*files, "--plot", str(tmp_path / "out.svg"))


def scaled(*arguments: str) -> str:
    out = StringIO()
    call_command("benchmark", "scale", *arguments, stdout=out)
    return out.getvalue()


def test_scale_measures_every_size_and_goes_on_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "scale.json"
    given = ["--trainer", "popularity", "--trainer", "als", "--config", json.dumps({"als": {"factors": 4}})]
    lines = scaled(*given, "--events", "2000,1000", "--json", str(out), "--rounds", "2").splitlines()
    assert [line.split("  ")[0] for line in lines[2:6]] == ["popularity"] * 2 + ["als, 1 iteration"] * 2
    assert [line for line in lines[6:] if "als beside implicit ALS, called directly, 2,000 events, 2 rounds" in line]
    found = json.loads(out.read_text())
    assert [one["events"] for one in found["measured"]] == [1000, 1000, 2000, 2000]
    assert all(one["peak_mib"] > 0 and one["fit_s"] > 0 for one in found["measured"])
    fitted: list[str] = []

    def count(work: Any, folder: Path, name: str, *args: Any, **kwargs: Any) -> Any:
        fitted.append(name)
        return processes.Refusal("Over the limit of 1 s.")

    monkeypatch.setattr(processes, "apart", count)
    given += ["--trainer", "ease", "--json", str(out), "--resume", "--events", "1000,2000,3000"]
    text = scaled(*given)
    assert fitted == ["ease", "popularity", "als"]  # ease at 1,000 events, the others at 3,000
    assert "ease" in text and "2,000 events: not tried, for it failed at 1,000 events" in text
    assert len(json.loads(out.read_text())["als_beside_implicit"]) == 2


def test_scale_draws_its_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="requirements-benchmarks.txt is not installed")
    scaled("--trainer", "popularity", "--events", "1000,2000,4000", "--plot", str(tmp_path / "out.svg"))
    assert "popularity: events^" in (tmp_path / "out.svg").read_text()


def test_scale_can_only_go_on_from_a_file() -> None:
    with pytest.raises(CommandError, match="--resume needs --json"):
        scaled("--resume", "--events", "1000")


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_the_settings_of_documented_runs_are_valid(path: Path) -> None:
    settings = json.loads(path.read_text())
    assert settings
    for name, values in settings.items():
        make_config(name, values)
