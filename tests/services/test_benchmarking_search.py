"""The search benchmark: what it reads, what it counts, and that it takes the site's own path."""

import csv
import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from recommender.engine.errors import InvalidDataset
from recommender.models import Item
from recommender.services.benchmarking import collections, search

DATA = os.environ.get("RECSITE_DATA")
TOPICS = ("harbour", "mountain", "orchard", "railway")


@pytest.fixture
def beir(tmp_path):
    """Eight documents on four topics, and a question on each; one judged 0 besides."""
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"d{n}", "title": f"The {TOPICS[n % 4]}", "text": f"All about the {TOPICS[n % 4]} in year {n}."}
        for n in range(8)
    ]
    questions = [{"_id": f"q{n}", "text": f"What is known of a {topic}?"} for n, topic in enumerate(TOPICS)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, questions)))
    rows = [f"q{n}\td{n + 4 * k}\t1" for n in range(4) for k in (0, 1)] + ["q0\td1\t0"]
    for part in ("test", "train"):
        (folder / "qrels" / f"{part}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows))
    return folder


def zipped(folder: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w") as archive:
        for one in folder.rglob("*"):
            if one.is_file():
                archive.write(one, Path("scifact") / one.relative_to(folder))
    return to


def test_a_folder_and_a_zip_are_one(beir, tmp_path):
    found = collections.read(beir)
    assert (len(found.titles), len(found.questions)) == (8, 4)
    assert found.judged["test"]["q1"] == {"d1": 1, "d5": 1}
    assert "d1" not in found.judged["test"]["q0"]  # judged, and no answer
    other = collections.read(zipped(beir, tmp_path / "beir.zip"))
    assert (other.titles, other.judged) == (found.titles, found.judged)


def test_scifacts_own_files(tmp_path):
    def table(name, rows):
        out = io.StringIO()
        writer = csv.DictWriter(out, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        (tmp_path / name).write_text(out.getvalue())

    abstract = "['It\\'s one.'\n \"Don't stop.\"\n 'Three [3].']"
    table("corpus_train.csv", [{"doc_id": "7", "title": "A title", "abstract": abstract, "structured": "False"}])
    claim = {"claim": "One is.", "evidence_doc_id": "", "evidence_label": ""}
    for name in ("claims_train.csv", "claims_validation.csv"):
        table(name, [{"id": "1", **claim, "cited_doc_ids": "[ 7 12]"}, {"id": "2", **claim, "cited_doc_ids": "[]"}])
    found = collections.read(tmp_path)
    assert found.texts["7"] == "It's one. Don't stop. Three [3]."
    assert found.judged == {part: {"1": {"7": 1, "12": 1}} for part in ("train", "test")}


@pytest.mark.skipif(not DATA, reason="RECSITE_DATA does not name the folder with the data sets")
def test_scifact_has_the_published_counts():
    found = collections.read(Path(DATA or "") / "scifact" / "scifact.zip")
    counts = {part: (len(judged), sum(map(len, judged.values()))) for part, judged in found.judged.items()}
    assert (len(found.titles), counts) == (5183, {"train": (809, 919), "test": (300, 339)})


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("corpus.jsonl", "{nonsense", "corpus.jsonl, line 1"),
        ("queries.jsonl", '{"text": "no id"}', "queries.jsonl, line 1"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq0 d0", "line 2"),
        ("corpus.jsonl", "", "no documents"),
    ],
)
def test_what_is_wrong_is_said(beir, name, content, complaint):
    (beir / name).write_text(content)
    with pytest.raises(InvalidDataset, match=complaint):
        collections.read(beir)


def test_no_collection_at_all(tmp_path):
    with pytest.raises(InvalidDataset, match="neither BEIR"):
        collections.read(tmp_path)
    with pytest.raises(InvalidDataset, match="neither a folder nor a zip"):
        collections.read(tmp_path / "none")
    (tmp_path / "text.zip").write_text("nonsense")
    with pytest.raises(InvalidDataset, match="neither a folder nor a zip"):
        collections.read(tmp_path / "text.zip")


def test_scores_by_hand():
    judged = {"a": {"x": 1, "y": 1}, "b": {"z": 2, "w": 1}, "c": {"v": 1}}
    rankings = {"a": ["n", "x", "y"], "b": ["w", "z"], "c": ["n"]}
    ideal = 1 + 1 / np.log2(3)
    expected = [
        ((1 / np.log2(3) + 1 / 2) / ideal, 1.0, 0.5),
        ((1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3)), 1.0, 1.0),
        (0.0, 0.0, 0.0),
    ]
    np.testing.assert_allclose(search.score(rankings, judged), expected)


@pytest.fixture
def apart(settings, tmp_path, django_db_blocker):
    """The benchmark's own database alone, which tests that are given the site's may not open."""
    settings.RECOMMENDER = {**settings.RECOMMENDER, "artifacts_dir": tmp_path / "artifacts"}
    with django_db_blocker.unblock():
        yield


@pytest.mark.usefixtures("apart")
class TestMeasuring:
    def test_documents_are_apart_from_the_shop(self, beir):
        with search.indexed(collections.read(beir)) as using:
            assert Item.objects.using(using).count() == 8
            assert using == search.ALIAS != "default"
        assert search.ALIAS not in connections.databases

    def test_everything_is_found_where_it_is_easy(self, beir, tmp_path, capsys):
        for _ in range(2):  # the second time with the vectors that were kept
            call_command(
                "benchmark", "search", str(beir), "--encoder", "hashing", "--tune", "--json", str(tmp_path / "out.json")
            )
        out = capsys.readouterr().out
        assert "8 documents, 4 questions of test, 8 answers" in out
        rows = json.loads((tmp_path / "out.json").read_text())["rows"]
        assert len(rows) == 4
        for row in rows:
            assert row["ndcg@10"]["value"] == row["recall@100"]["value"] == row["mrr@10"]["value"] == 1.0, row

    def test_without_other_judgements_it_is_cross_validated(self, beir, capsys):
        (beir / "qrels" / "train.tsv").unlink()
        call_command("benchmark", "search", str(beir), "--encoder", "hashing", "--tune")
        assert "cross-validated" in capsys.readouterr().out

    def test_settings_are_never_chosen_on_what_is_measured(self, beir, capsys):
        call_command("benchmark", "search", str(beir), "--encoder", "hashing", "--tune", "test")
        assert "chosen on test" not in capsys.readouterr().out

    def test_refusals(self, beir):
        for arguments, complaint in (
            (["--part", "dev"], "no judgements called 'dev'"),
            (["--config", "{"], "no JSON"),
            (["--config", "[]"], "takes an object"),
            (["--json", "/nowhere/at/all.json"], "not a folder"),
        ):
            with pytest.raises(CommandError, match=complaint):
                call_command("benchmark", "search", str(beir), "--encoder", "hashing", *arguments)
