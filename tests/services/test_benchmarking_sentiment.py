"""The measuring of sentiment: what it reads, refuses and tells."""

import gzip
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from recommender.engine.errors import InvalidDataset
from recommender.services.benchmarking import sentiment
from tests.engine.opinion.test_sentiment import reviews


def write(folder: Path, **changed: str) -> Path:
    folder.mkdir()
    for seed, name in enumerate(sentiment.PARTS):
        texts, liked = reviews(120, seed=seed)
        lines = "".join(f"{text}\t{int(good)}\n" for text, good in zip(texts, liked, strict=True))
        (folder / f"{name}.tsv.gz").write_bytes(gzip.compress(changed.get(name, lines).encode()))
    return folder


def test_words_and_vectors_are_measured(tmp_path, capsys):
    folder = write(tmp_path / "reviews")
    out = tmp_path / "found.json"
    call_command(
        "benchmark", "sentiment", str(folder), "--method", "words", "--method", "sentence",
        "--text-encoder", "hashing", "--json", str(out),
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "reviews: 120 train, 120 dev, 120 test" in printed
    found = json.loads(out.read_text())["results"]
    assert [one["method"] for one in found] == ["words", "sentence"]
    for one in found:
        assert one["test"]["accuracy"] > 0.95 and one["dev"]["accuracy"] > 0.95
        assert one["test"]["calibration_error"] < 0.1
        assert f"{one['test']['accuracy']:.4f}" in printed


@pytest.mark.parametrize(
    "lines, why",
    [
        ("", "both kinds"),
        ("good\t1\n", "both kinds"),
        ("good\t1\nbad 0\n", "line 2"),
        ("good\t1\nbad\t2\n", "line 2"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, lines, why):
    folder = write(tmp_path / "reviews", dev=lines)
    with pytest.raises(InvalidDataset, match=why):
        sentiment.read(folder)
    with pytest.raises(CommandError, match=why):
        call_command("benchmark", "sentiment", str(folder))


def test_files_that_are_not_there_or_damaged_are_named(tmp_path):
    folder = write(tmp_path / "reviews")
    (folder / "test.tsv.gz").write_bytes(b"no gzip")
    with pytest.raises(InvalidDataset, match=r"test\.tsv\.gz cannot be read"):
        sentiment.read(folder)
    (folder / "test.tsv.gz").unlink()
    with pytest.raises(InvalidDataset, match=r"has no test\.tsv\.gz"):
        sentiment.read(folder)
    with pytest.raises(CommandError, match="tuned-epochs"):
        call_command("benchmark", "sentiment", str(folder), "--tuned-epochs", "0")
