"""The measuring of detectors: what it reads, refuses, compares and tells."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recommender.engine.errors import InvalidDataset
from recommender.services.benchmarking import anomaly, anomaly_pages, processes
from recommender.services.benchmarking.anomaly import Measured, Setup
from tests.contracts.detector import world

QUICK = {"trees": 20}


def write(path: Path, rows: Any = None, odd: Any = None, **other: Any) -> Path:
    usual, planted = world()
    arrays = {"X": usual if rows is None else rows, "y": planted.astype(np.int64) if odd is None else odd}
    np.savez(path, **{**{name: array for name, array in arrays.items() if array is not False}, **other})
    return path


def quiet(stage: str) -> Any:
    return lambda share, message: None


def measured(sets: Any, detectors: list[str], peers: list[str], setup: Setup) -> anomaly.Report:
    return anomaly.measure(sets, {}, detectors, peers, setup, quiet, run=processes.here)


@pytest.mark.parametrize("mode", anomaly.MODES)
def test_detectors_and_peers_find_what_was_planted(mode: str, tmp_path: Path) -> None:
    pytest.importorskip("pyod", reason="pyod is not installed (requirements-benchmarks.txt)")
    sets, _ = anomaly.collect(write(tmp_path / "shop.npz"))
    setup = Setup(mode, seeds=(0, 1), configs={"isolation_forest": QUICK})
    report = measured(sets, ["isolation_forest", "knn", "ecod"], ["PyOD IForest", "PyOD KNN", "PyOD ECOD"], setup)
    for who in report.names:
        found = report.found["shop"][who]
        assert isinstance(found, Measured), found
        assert len(found.auroc) == len(found.ap) == 2
        assert report.mean(who) > 0.97
        assert report.mean(who, "ap") > 0.5
    printed = "\n".join([*anomaly_pages.table(report), *anomaly_pages.notes(report)])
    assert "mean AUROC" in printed
    assert "as in ADBench, for: PyOD KNN" in printed
    assert ("neighbours=5" in printed) == (mode == "normal-only")
    assert json.loads(json.dumps(anomaly_pages.as_json(report), allow_nan=False))["means_over"] == ["shop"]
    assert anomaly_pages.markdown(report)[0].startswith("| set | rows | anomalies | isolation_forest")


def test_normal_only_never_learns_from_an_anomaly_and_asks_all_others() -> None:
    rows = np.arange(100, dtype=np.float32)[:, None]
    odd = np.arange(100) >= 90
    known, asked, truth = anomaly.split(rows, odd, "normal-only", 1000, seed=3)
    assert len(known) == 45 and known.max() < 90
    assert sorted([*known[:, 0], *asked[:, 0]]) == list(range(100))
    np.testing.assert_array_equal(truth, asked[:, 0] >= 90)
    again = anomaly.split(rows, odd, "normal-only", 1000, seed=3)
    np.testing.assert_array_equal(again[0], known)
    assert not np.array_equal(anomaly.split(rows, odd, "normal-only", 1000, seed=4)[0], known)


def test_large_sets_are_sampled_alike_for_everyone_and_it_is_said(tmp_path: Path) -> None:
    rows = np.arange(1000, dtype=np.float32)[:, None]
    odd = np.arange(1000) >= 990
    known, asked, truth = anomaly.split(rows, odd, "unsupervised", 200, seed=1)
    assert known is asked or np.array_equal(known, asked)
    assert len(known) == 200 and truth.sum() == 2
    sets, _ = anomaly.collect(write(tmp_path / "long.npz", rows, odd))
    report = measured(sets, ["ecod"], [], Setup(seeds=(0,), most_rows=200))
    assert any("Sampled to 200 rows" in line and "long" in line for line in anomaly_pages.notes(report))


def test_a_detector_that_fails_costs_its_own_cell(tmp_path: Path) -> None:
    sets, _ = anomaly.collect(write(tmp_path / "shop.npz"))

    def failing(work: Any, path: Path, who: str, *args: Any, **keywords: Any) -> Any:
        if who == "knn":
            return processes.Refusal("Over the limit of 1 s.")
        return processes.here(work, path, who, *args, **keywords)

    report = anomaly.measure(sets, {}, ["ecod", "knn"], [], Setup(seeds=(0,)), quiet, run=failing)
    printed = "\n".join([*anomaly_pages.table(report), *anomaly_pages.notes(report)])
    assert "shop, knn: no result: Over the limit of 1 s." in printed
    assert report.complete == []
    assert anomaly_pages.as_json(report)["sets"][0]["results"]["knn"] == {"refused": "Over the limit of 1 s."}


def test_the_ensemble_is_told_beside_its_parts(tmp_path: Path) -> None:
    sets, _ = anomaly.collect(write(tmp_path / "shop.npz"))
    parts = {"parts": ["ecod", "knn"]}
    report = measured(sets, ["ensemble", "ecod", "knn"], [], Setup(seeds=(0,), configs={"ensemble": parts}))
    assert any(line.startswith("ensemble beside the median of ecod, knn") for line in anomaly_pages.notes(report))


GOOD, ODD = world()
BAD = {
    "no X": ({"rows": False}, "no X"),
    "no y": ({"odd": False}, "no y"),
    "neither": ({"rows": False, "odd": False, "z": np.ones(3)}, "no X and no y"),
    "one class": ({"odd": np.zeros(300)}, "2 anomalies"),
    "all anomalies": ({"odd": np.ones(300)}, "as many others"),
    "not finite": ({"rows": np.where(GOOD > 900, np.nan, GOOD)}, "NaN, infinity"),
    "too large": ({"rows": GOOD.astype(np.float64) * 1e38}, "beyond 32 bits"),
    "five rows": ({"rows": GOOD[:5], "odd": ODD[:5]}, "has 5 rows"),
    "no rows": ({"rows": GOOD[:0], "odd": ODD[:0]}, "has 0 rows"),
    "objects": ({"rows": np.array([[{}]], dtype=object)}, "Python objects"),
    "words": ({"rows": np.full((300, 2), "a")}, "must be numbers"),
    "one axis": ({"rows": GOOD[:, 0]}, r"\(rows, features\)"),
    "no columns": ({"rows": GOOD[:, :0]}, r"\(rows, features\)"),
    "other lengths": ({"odd": np.zeros(299)}, r"not \(300, 5\) and \(299,\)"),
    "other labels": ({"odd": np.arange(300)}, "y must be 1"),
    "labels missing": ({"odd": np.full(300, np.nan)}, "y must be 1"),
}


@pytest.mark.parametrize(("changed", "why"), BAD.values(), ids=BAD)
def test_what_is_no_data_set_is_refused_by_name(changed: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "odd one.npz", **changed)
    with pytest.raises(InvalidDataset, match=why) as caught:
        anomaly.read(path)
    assert "odd one.npz" in str(caught.value)


@pytest.mark.parametrize("damage", ["no zip", "empty", "cut", "npy", "plain zip"])
def test_damaged_files_are_refused_by_name(damage: str, tmp_path: Path) -> None:
    path = write(tmp_path / "damaged.npz")
    if damage == "npy":
        np.save(path.with_suffix(".npy"), GOOD)
        path.write_bytes(path.with_suffix(".npy").read_bytes())
    elif damage == "plain zip":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("X", "hello")
            file.writestr("y", "hello")
    else:
        path.write_bytes({"no zip": b"hello", "empty": b"", "cut": path.read_bytes()[:2000]}[damage])
    with pytest.raises(InvalidDataset, match=r"damaged\.npz"):
        anomaly.read(path)


def test_labels_of_any_number_kind_are_read(tmp_path: Path) -> None:
    for odd in (ODD, ODD.astype(np.float32), ODD.astype(np.uint8)[:, None]):
        rows, found = anomaly.read(write(tmp_path / "shop.npz", GOOD.astype(np.float64), odd))
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(found, ODD)


def test_the_command_measures_what_is_good_and_names_the_rest(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "sets"
    folder.mkdir()
    write(folder / "10_b.npz")
    write(folder / "2_a.npz")
    write(folder / "3_bad.npz", odd=np.zeros(300))
    out, drawn, page = tmp_path / "found.json", tmp_path / "found.svg", tmp_path / "found.md"
    call_command(
        "benchmark", "anomaly", str(folder), "--detector", "ecod", "--no-peers", "--seeds", "1", "--threads", "1",
        "--minutes-each", "2", "--json", str(out), "--plot", str(drawn), "--markdown", str(page),
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "3_bad.npz: y needs" in printed
    found = json.loads(out.read_text())
    assert [one["name"] for one in found["sets"]] == ["2_a", "10_b"]
    assert list(found["unreadable"]) == ["3_bad.npz"]
    assert found["means"]["ecod"]["auroc"] > 0.97
    assert "10_b" in page.read_text() and drawn.stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--seeds", "0"], "--seeds"),
        (["--most", "5"], "--most"),
        (["--config", "[]"], "--config"),
        (["--config", '{"nothing": {}}'], "nothing"),
        (["--config", '{"knn": {"strange": 1}}', "--detector", "knn"], "strange"),
        (["--json", "/nowhere/at/all.json"], "not a folder"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_measuring(arguments: list[str], why: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=why):
        call_command("benchmark", "anomaly", str(write(tmp_path / "shop.npz")), "--no-peers", *arguments)


def test_a_path_with_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not there"):
        call_command("benchmark", "anomaly", str(tmp_path / "nothing"))
    with pytest.raises(CommandError, match=r"holds no \.npz"):
        call_command("benchmark", "anomaly", str(tmp_path))
    with pytest.raises(CommandError, match=r"bad\.npz has no y"):
        call_command("benchmark", "anomaly", str(write(tmp_path / "bad.npz", odd=False)))
