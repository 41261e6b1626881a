"""The measuring of intrusions: what it reads, refuses and tells, and that new attacks are found."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recommender.engine.errors import InvalidDataset
from recommender.engine.options import no_progress
from recommender.services.benchmarking import intrusion_files as files
from recommender.services.benchmarking import intrusions

TRAIN, NEW, QUIET = ("neptune", "smurf", "satan", "back"), ("mailbomb", "named"), "back"
FAST = intrusions.Setup(trees=15)


def lines(rows: int, attacks: tuple[str, ...], seed: int) -> list[str]:
    """Half normal; an attack is far out in a rate of its own, by its place in the alphabet of attacks; but QUIET, which
    is like what is normal, and of one size."""
    random = np.random.default_rng(seed)
    rates = [number for number, name in enumerate(files.FIELDS) if name.endswith("_rate")]
    made = []
    for row in range(rows):
        fields = ["0"] * len(files.FIELDS)
        fields[1:4] = ["tcp", str(random.choice(["http", "smtp"])), "SF"]
        fields[4], fields[5] = str(random.integers(100, 1000)), str(random.integers(100, 1000))
        for place in rates:
            fields[place] = f"{random.uniform(0, 0.1):.2f}"
        label = files.NORMAL
        if row % 2:
            label = attacks[row // 2 % len(attacks)]
            fields[rates[sorted(files.FAMILY).index(label) % len(rates)]] = "1.00" if label != QUIET else "0.05"
            fields[4] = "970" if label == QUIET else fields[4]
        made.append(",".join([*fields, label, "20"]))
    return made


def write(folder: Path, test: str | None = None) -> Path:
    folder.mkdir()
    for name, text in {
        files.TRAIN: "\n".join(lines(320, TRAIN, 0)),
        files.TEST: "\n".join(lines(240, TRAIN + NEW, 1)) if test is None else test,
    }.items():
        (folder / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode()))
    return folder


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    return files.read(write(tmp_path_factory.mktemp("intrusions") / "data"))


def test_fields_become_numbers_and_unknown_words_no_column(parts):
    train = parts["train"]
    assert len(train) == 320 and train.attack.sum() == 160 and len(files.FIELDS) == 41
    encoding = files.Encoding.of(train)
    rows = encoding.rows(train)
    assert rows.shape == (320, len(encoding.names)) and rows.dtype == np.float32
    at = encoding.names.index("src_bytes")
    np.testing.assert_allclose(rows[:, at], np.log1p(train.numbers[:, files.NUMBERS.index("src_bytes")]), rtol=1e-6)
    assert set(encoding.names) >= {"service=http", "service=smtp", "protocol_type=tcp", "flag=SF"}
    words = train.words.copy()
    words[:, 1] = "gopher"
    strange = encoding.rows(files.Part(train.numbers, words, train.labels))
    assert not strange[:, [place for place, name in enumerate(encoding.names) if name.startswith("service=")]].any()
    judge = intrusions.learn(train, FAST, no_progress)
    told = judge.told(files.Part(train.numbers, words, train.labels))[intrusions.OURS]
    assert np.isfinite(told.scores).all()


def test_new_attacks_are_found_and_a_classifier_alone_misses_them(parts):
    found, facts = intrusions.measure(parts, FAST, ("random_forest",), lambda stage: no_progress)
    by_name = {one.name: one for one in found}
    ours, forest = by_name[intrusions.OURS], by_name["random_forest"]
    assert ours.known > 0.9 and ours.new > 0.9 and ours.false_positives < 0.1 and ours.accuracy > 0.9
    assert ours.attacks[QUIET] > by_name["detector alone"].attacks[QUIET] + 0.5
    assert forest.known > 0.95 and forest.new < 0.5
    assert ours.auroc > 0.95 and set(ours.attacks) == set(TRAIN + NEW)
    assert facts["acts"] and 0.7 < facts["auroc_new_kinds"] < 0.95  # nobody can foretell QUIET
    again, _ = intrusions.measure(parts, FAST, (), lambda stage: no_progress)
    assert (again[0].accuracy, again[0].auroc, again[0].attacks) == (ours.accuracy, ours.auroc, ours.attacks)


def test_figures_count_what_they_say():
    labels = np.array(["normal", "normal", "neptune", "mscan", "strange"])
    part = files.Part(np.zeros((5, 38)), np.full((5, 3), "tcp"), labels)
    told = intrusions.Told(np.array([True, False, True, False, True]), np.array([0.9, 0.1, 0.9, 0.2, 0.8]))
    one = intrusions.figures("x", told, part, np.array(["normal", "neptune"]))
    assert (one.accuracy, one.false_positives, one.known, one.new) == (0.6, 0.5, 1.0, 0.5)
    assert one.families == {"dos": 1.0, "probe": 0.0, files.OTHER: 1.0}
    assert one.auroc == 3.5 / 6


def test_the_command_tells_and_keeps_it(tmp_path, capsys):
    folder, out = write(tmp_path / "data"), tmp_path / "found.json"
    call_command(
        "benchmark", "intrusions", str(folder), "--trees", "10", "--threads", "1", "--no-peers", "--validate",
        "--json", str(out),
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "mailbomb (new)" in printed and "Each attack of the training file kept from all that learns" in printed
    kept = json.loads(out.read_text())
    assert kept["sizes"] == {"train": 320, "test": 240}
    assert [one["name"] for one in kept["results"]] == [intrusions.OURS, "detector alone"]
    assert f"{kept['results'][0]['accuracy']:.4f}" in printed
    new = kept["attacks_kept_out"]["new"]
    assert set(new) == set(TRAIN) and new.pop(QUIET) < 0.5 < 0.9 < min(new.values())


GOOD = lines(4, ("neptune",), 2)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "is empty"),
        ("\n".join(GOOD[::2]), "both normal lines and attacks"),
        ("\n".join([GOOD[0], GOOD[1][: GOOD[1].index("tcp")]]), "line 2: 42 or 43 fields"),
        ("\n".join([GOOD[0], GOOD[1].replace("0,tcp", "soon,tcp", 1)]), "line 2: duration must be a number"),
        ("\n".join([GOOD[0].replace("0,tcp", "nan,tcp", 1), GOOD[1]]), "line 1: duration must be a number"),
        ("\n".join([GOOD[0], GOOD[1], GOOD[1].replace("0,tcp", "inf,tcp", 1)]), "line 3: duration must be a number"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, text, why):
    folder = write(tmp_path / "data", test=text)
    with pytest.raises(CommandError, match=why):
        call_command("benchmark", "intrusions", str(folder))


def test_files_that_are_not_there_or_damaged_are_named(tmp_path, monkeypatch):
    folder = write(tmp_path / "data")
    (folder / f"{files.TEST}.txt.gz").write_bytes(b"no gzip")
    with pytest.raises(CommandError, match=r"KDDTest\+\.txt\.gz cannot be read"):
        call_command("benchmark", "intrusions", str(folder))
    (folder / f"{files.TEST}.txt.gz").unlink()
    with pytest.raises(CommandError, match=r"has no KDDTest\+\.txt\.gz"):
        call_command("benchmark", "intrusions", str(folder))
    (folder / f"{files.TEST}.txt").write_text("\n".join(GOOD))
    assert len(files.read(folder)["test"]) == 4
    monkeypatch.delenv("RECSITE_DATA", raising=False)
    with pytest.raises(CommandError, match="RECSITE_DATA"):
        call_command("benchmark", "intrusions")
    with pytest.raises(CommandError, match="--trees"):
        call_command("benchmark", "intrusions", str(folder), "--trees", "0")


def test_too_little_to_learn_from_is_refused(parts):
    train = parts["train"]
    with pytest.raises(InvalidDataset, match="20 normal lines and 20 attacks"):
        intrusions.learn(train.where(np.arange(30)), FAST, no_progress)


@pytest.mark.skipif(not os.environ.get("RECSITE_DATA"), reason="RECSITE_DATA does not name the folder with nsl-kdd")
def test_the_real_files_are_read():
    found = files.read(Path(os.environ["RECSITE_DATA"]) / "nsl-kdd")
    assert (len(found["train"]), len(found["test"])) == (25_192, 22_544)
    assert set(found["test"].labels.tolist()) - {files.NORMAL} <= set(files.FAMILY)
    assert found["train"].attack.sum() == 11_743 and found["test"].attack.sum() == 12_833
