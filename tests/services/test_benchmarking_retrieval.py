"""The retrieval benchmark: its measures against oracles, its protocols on small folders."""

import json
import zipfile
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image
from sklearn.metrics import average_precision_score

from recommender.engine.data import pictures
from recommender.engine.errors import InvalidDataset
from recommender.engine.options import Progress
from recommender.services.benchmarking.processes import Watch
from recommender.services.benchmarking.retrieval import (
    Collection,
    Setup,
    by_chance,
    measure_retrieval,
    precisions,
    retrieval_table,
)

TINY = {"size": 16, "width": 4, "depth": 1, "steps": 2, "batch": 4, "projection": 4, "dimension": 4}


def quiet(stage: str) -> Progress:
    return lambda share, message: None


WATCH: Watch = quiet


def stripes(kind: str, seed: int) -> bytes:
    """Across or down, in random colours and widths: classes that gradients tell apart."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 256, (2, 3))
    colours[1] = 255 - colours[0] if abs(int(colours[0].sum()) - 382) > 120 else 255
    bands = (np.arange(64) // random.integers(4, 9)) % 2
    picture = np.repeat(colours[bands][:, None], 64, axis=1).astype(np.uint8)
    return pictures.jpeg(picture if kind == "across" else picture.transpose(1, 0, 2).copy())


def write(folder: Path, parts: dict[str, int], seed: int = 0) -> Path:
    for part, count in parts.items():
        for kind in ("across", "down"):
            (folder / part / kind).mkdir(parents=True)
            for number in range(count):
                seed += 1
                (folder / part / kind / f"{number}.jpg").write_bytes(stripes(kind, seed))
    return folder


def test_precisions_are_sklearns() -> None:
    random = np.random.default_rng(3)
    queries, gallery = random.normal(size=(9, 5)), random.normal(size=(40, 5))
    relevant = random.random((9, 40)) < 0.3
    relevant[:, 0] = True
    found = precisions(queries, gallery, relevant)
    cosines = queries @ gallery.T
    for query in range(9):
        assert found[query, 0] == pytest.approx(average_precision_score(relevant[query], cosines[query]))
        assert found[query, 1] == relevant[query, cosines[query].argmax()]


def test_a_query_does_not_find_itself() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    labels = np.array([0, 1, 0, 1])
    found = precisions(vectors, vectors, labels[:, None] == labels, np.arange(4))
    # Each has a twin of another class first, and its own kind second or, as a tie by the lower row, third.
    assert found[:, 1].tolist() == [0, 0, 0, 0]
    assert found[:, 0] == pytest.approx([1 / 2, 1 / 3, 1 / 2, 1 / 3])


def test_chance_is_what_random_orders_give() -> None:
    random = np.random.default_rng(0)
    relevant = np.zeros((4000, 12), dtype=bool)
    relevant[:, :4] = True
    gallery = np.eye(12)
    found = precisions(random.random((4000, 12)), gallery, relevant).mean(axis=0)
    assert found == pytest.approx(by_chance(np.array([4]), 12)[0], abs=0.02)


def test_queries_are_asked_of_the_gallery_and_the_held_out_part_of_train(tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", {"train": 8, "validation": 3})
    report = measure_retrieval(Collection.of(folder, "image"), Setup("contrastive", TINY), WATCH)
    assert (report.queries, report.gallery, report.classes, report.lonely) == (6, 16, 2, 0)
    ours, floor = report.rows
    assert (ours.name, floor.name) == ("contrastive", "HOG")
    assert floor.values["map"].value > 0.9 and floor.values["p@1"].value == 1.0
    assert report.chance["p@1"] == 0.5
    assert ours.encoded == 22 and ours.dimension == 16  # four descriptions of 4
    assert "validation asked of train" in retrieval_table(report)[0]
    held = measure_retrieval(Collection.of(folder, "image"), Setup("contrastive", TINY, held_out=4), WATCH)
    assert (held.queries, held.gallery) == (4, 12)


def test_one_folder_per_class_leaves_one_out_and_bad_files_do_not_stop_it(tmp_path: Path) -> None:
    folder = write(tmp_path, {"all": 4})
    (folder / "all" / "down" / "broken.jpg").write_bytes(b"no picture")
    (folder / "all" / "alone").mkdir()
    (folder / "all" / "alone" / "1.png").write_bytes(stripes("down", 99))
    out, path = StringIO(), tmp_path / "out.json"
    call_command(
        "benchmark", "retrieval", str(folder / "all"), "--config", json.dumps(TINY), "--threads", "1", "--json",
        str(path), stdout=out,
    )  # fmt: skip
    printed, written = out.getvalue(), json.loads(path.read_text())
    assert "each asked of all others" in printed and "down/broken.jpg" in printed and "1 queries were left" in printed
    assert written["queries"] == 8 and written["gallery"] == 8 and written["lonely"] == 1
    assert set(written["rows"][0]["values"]["map"]) == {"value", "low", "high"}
    assert written["refused"][0][0] == "down/broken.jpg"


def test_no_group_is_asked_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "takes.zip"
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for kind in ("across", "down"):
            for who in ("ann", "bob", "cy"):
                for take in range(2):
                    archive.writestr(f"{kind}_{who}_{take}.jpg", stripes(kind, int(random.integers(1000))))
    pattern = "(?P<class>[a-z]+)_(?P<group>[a-z]+)_"
    report = measure_retrieval(Collection.of(path, "image", pattern), Setup("contrastive", TINY), WATCH)
    assert (report.queries, report.gallery, report.classes) == (12, 8, 2)
    assert report.protocol.startswith("3 groups")
    assert report.rows[1].values["p@1"].value == 1.0


@pytest.mark.parametrize(
    ("pattern", "match"),
    [(None, "no two classes"), ("(", "no regular expression"), ("(a)", "needs a group"), ("(?P<class>x)", "not fit")],
)
def test_a_collection_that_makes_no_sense_is_refused(pattern: str | None, match: str, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InvalidDataset, match=match):
        Collection.of(tmp_path, "image", pattern)
    (tmp_path / "no.zip").write_text("no")
    with pytest.raises(InvalidDataset, match="neither a folder nor a zip"):
        Collection.of(tmp_path / "no.zip", "image")


def test_bad_options_are_named(tmp_path: Path) -> None:
    for options, match in (
        (["--encoder", "nobody"], "none of"),
        (["--config", "{"], "not JSON"),
        (["--config", "[]"], "settings by name"),
        (["--held-out", "1"], "2 or more"),
        (["--config", '{"strange": 1}'], "no setting strange"),
    ):
        write(tmp_path / match.replace(" ", ""), {"x": 1})
        with pytest.raises(CommandError, match=match):
            call_command("benchmark", "retrieval", str(tmp_path / match.replace(" ", "")), *options)
