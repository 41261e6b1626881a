"""manage.py benchmark on small files: the table, the notes, the JSON, and what it refuses."""

import json
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
from recommender.management.commands.benchmark import BENCHMARKS
from recommender.services import benchmarking
from tests import worlds

SMALL = {"als": {"factors": 2, "iterations": 5}}


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
    assert als["peak_mib"] > 0


def test_the_same_seed_gives_the_same_figures(files: list[str]) -> None:
    first, second = (run(*files).splitlines()[3].split("  ") for _ in range(2))
    figures = [cell.strip() for cell in first if "[" in cell]
    assert figures == [cell.strip() for cell in second if "[" in cell]
    assert len(figures) == 4


def test_tuning_says_what_it_chose_and_that_it_refitted(files: list[str]) -> None:
    text = run(*files, "--tune", "3", "--config", json.dumps(SMALL))
    assert "best of 3 on the validation part; refitted with the validation part" in text


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
    original = benchmarking.tune

    def tune(*args: Any, **kwargs: Any) -> Any:
        before = len(log)
        found = original(*args, **kwargs)
        log.append("tuned" if len(log) == before else "leaked")
        return found

    monkeypatch.setattr(benchmarking, "tune", tune)
    benchmarking.measure_accuracy(
        watched, ["als"], configs=SMALL, tune_trials=2, watch=lambda stage: lambda share, message: None
    )
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
    assert all(benchmark.help for benchmark in BENCHMARKS.values())
