"""Vectors from other tools' files: what is kept, what is rejected and why, and how they serve and are taken back."""

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from recommender import tasks
from recommender.engine.errors import InvalidDataset
from recommender.models import Encoding, Item, ItemVector
from recommender.services.content import encoding, vector_files, vectors
from recommender.services.content.import_vectors import current, import_vectors, remove
from recommender.services.errors import InvalidInput
from tests.services.conftest import item_ids

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("no_heart")]

IDS = item_ids("sea")
VECTORS = np.random.default_rng(5).normal(size=(10, 4)).astype(np.float32)
UNIT = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    monkeypatch.setattr(tasks, "wake_encoding", lambda encoding_id: calls.append(encoding_id) or True)
    return calls


def npz(path: Path, ids: Any = IDS, found: Any = VECTORS) -> Path:
    np.savez(path, ids=np.array(ids), vectors=found)
    return path


def parquet_of_lists(path: Path) -> Path:
    pq.write_table(pa.table({"item_id": IDS, "embedding": VECTORS.tolist(), "note": ["x"] * 10}), path)
    return path


def parquet_of_columns(path: Path) -> Path:
    pq.write_table(pa.table({"id": IDS, **{f"d{n}": VECTORS[:, n] for n in range(4)}}), path)
    return path


def word2vec(path: Path, head: str = "10 4\n") -> Path:
    lines = [
        " ".join([item_id, *(repr(float(x)) for x in vector)]) for item_id, vector in zip(IDS, VECTORS, strict=True)
    ]
    path.write_text(head + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (npz, "v.npz"),
        (parquet_of_lists, "v.parquet"),
        (parquet_of_columns, "v.parquet"),
        (word2vec, "v.txt"),
        (lambda path: word2vec(path, ""), "v.vec"),
    ],
)
def test_each_kind_of_file(items: dict[str, Item], tmp_path: Path, write: Any, name: str) -> None:
    done = import_vectors(vector_files.read(write(tmp_path / name)), "text", "theirs")
    assert (done.kept, done.dimension, done.rejected) == (10, 4, [])
    rows = ItemVector.objects.order_by("item_id")
    assert {row.encoder for row in rows} == {"imported:theirs"}
    np.testing.assert_allclose([np.frombuffer(row.vector, "<f4") for row in rows], UNIT, atol=1e-6)


def keras_model(path: Path) -> Any:
    """A real model with two Embedding layers, one of them inside another model; its items' weights are VECTORS."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    pytest.importorskip("h5py", reason="h5py is not installed")
    user, item = keras.Input((1,), name="user"), keras.Input((1,), name="item")
    tower = keras.Sequential([keras.layers.Embedding(3, 2, name="users"), keras.layers.Flatten()])
    taken = keras.layers.Embedding(10, 4, name="items")
    joined = keras.layers.Concatenate()([tower(user), keras.layers.Flatten()(taken(item))])
    model = keras.Model([user, item], keras.layers.Dense(1)(joined))
    taken.set_weights([VECTORS])
    model.save(path)
    return model


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    with pytest.MonkeyPatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, about NumPy 2
        patched.setenv("KERAS_BACKEND", "torch")
        keras_model(path)
    return path


def test_a_keras_models_embedding_layer(items: dict[str, Item], keras_file: Path, tmp_path: Path) -> None:
    names = tmp_path / "ids.txt"
    names.write_text("\n".join(["", *IDS[1:]]) + "\n")  # row 0 stands for nothing, as it often does
    done = import_vectors(vector_files.read(keras_file, layer="items", vocabulary=names), "text", "towers")
    assert (done.kept, done.dimension) == (9, 4)
    stored = ItemVector.objects.get(item_id="sea-03").vector
    np.testing.assert_allclose(np.frombuffer(stored, "<f4"), UNIT[3], atol=1e-6)


def test_a_keras_models_rows_are_ids_where_no_vocabulary_says_more(db: None, keras_file: Path) -> None:
    Item.objects.create(id="7", title="Seven")
    done = import_vectors(vector_files.read(keras_file, layer="items"), "text", "towers")
    assert (done.kept, done.reasons) == (1, {"no item has this id": 9})


@pytest.mark.parametrize(
    ("layer", "lines", "said"),
    [
        ("", None, "items, users"),
        ("other", None, "no Embedding layer 'other'"),
        ("items", 9, "has 9 lines"),
        ("items", 11, "more than 10"),
    ],
)
def test_what_a_keras_model_is_refused_for(
    keras_file: Path, tmp_path: Path, layer: str, lines: int | None, said: str
) -> None:
    names = None
    if lines:
        names = tmp_path / "ids.txt"
        names.write_text("x\n" * lines)
    with pytest.raises(InvalidDataset, match=said):
        list(vector_files.read(keras_file, layer=layer, vocabulary=names))


def test_no_code_of_a_keras_model_runs(keras_file: Path, tmp_path: Path, items: dict[str, Item]) -> None:
    mark = tmp_path / "ran"
    harm = {
        "module": "os",
        "class_name": "function",
        "config": "system",
        "registered_name": "system",
        "args": [f"touch {mark}"],
    }
    evil = tmp_path / "evil.keras"
    with zipfile.ZipFile(keras_file) as good, zipfile.ZipFile(evil, "w") as bad:
        bad.writestr("config.json", json.dumps(harm))
        bad.writestr("model.weights.h5", good.read("model.weights.h5"))
    rows = list(vector_files.read(evil, layer="items"))
    assert len(rows) == 10 and not mark.exists()


def test_bad_rows_are_named_and_the_rest_is_kept(items: dict[str, Item], tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text(
        "sea-00 1 2 3\nnobody 1 2 3\nsea-01 1 2\nsea-02 1 nan 3\nsea-00 3 2 1\nsea-03 0 0 0\nsea-04 a b c\n"
        "sea-05 1 inf 1\n\nsea-06\nsea-07 3 2 1\n\x00 1 2 3\n"
    )
    done = import_vectors(vector_files.read(path), "text", "theirs")
    assert done.kept == 2
    assert [(row.place, row.reason) for row in done.rejected] == [
        (2, "no item has this id"),
        (3, "it has 2 numbers, not 3"),
        (4, "it holds NaN or infinity"),
        (5, "its id came before"),
        (6, "it is all zeros"),
        (7, "its vector is not made of numbers"),
        (8, "it holds NaN or infinity"),
        (10, "it has 0 numbers, not 3"),
        (12, "no item has this id"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.npz", b"PK\x03\x04 not whole"),
        ("v.parquet", b"PAR1 not whole"),
        ("v.keras", b"not a zip"),
        ("v.weights.h5", b"not HDF5"),
        ("v.docx", b"?"),
    ],
)
def test_a_file_that_is_none_of_these(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidDataset):
        list(vector_files.read(tmp_path / name))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", ids=np.array([object()], dtype=object), vectors=np.ones((1, 2)))
    with pytest.raises(InvalidDataset):
        list(vector_files.read(tmp_path / "v.npz"))


@pytest.mark.parametrize(
    "stored", [{"ids": IDS}, {"ids": IDS, "vectors": VECTORS[:3]}, {"ids": IDS, "vectors": np.array(IDS)}]
)
def test_arrays_that_do_not_fit(tmp_path: Path, stored: dict[str, Any]) -> None:
    np.savez(tmp_path / "v.npz", **stored)
    with pytest.raises(InvalidDataset):
        list(vector_files.read(tmp_path / "v.npz"))


def test_names_and_modalities_are_checked(db: None) -> None:
    for modality, name in (("smell", "x"), ("text", ""), ("text", "No Name"), ("text", "a" * 61)):
        with pytest.raises(InvalidInput):
            import_vectors([], modality, name)


def test_they_serve_and_are_left_alone_until_they_are_removed(
    items: dict[str, Item], tmp_path: Path, woken: list[int], capsys: Any
) -> None:
    encoding.run(encoding.request().pk)
    call_command("import_vectors", npz(tmp_path / "My Model.npz"), modality="text")
    assert "10 vectors of 4 numbers kept, 0 rows rejected" in capsys.readouterr().out
    assert current("text") == "my-model"
    row = encoding.run(woken[0])
    assert row is not None and row.status == "succeeded" and row.counts == {}
    space = vectors.space("text")
    assert space is not None and (space.encoder, space.dimension, list(space.item_ids)) == (None, 4, IDS)
    np.testing.assert_allclose(space.vectors(["sea-04"])[0], UNIT[4], atol=1e-6)
    with pytest.raises(InvalidInput):
        space.encode(["the sea"])
    Item.objects.get(pk="sea-00").save()
    assert not encoding.due()
    encoding.run(encoding.request(everything=True).pk)
    assert current("text") == "my-model"

    call_command("import_vectors", modality="text", remove=True)
    assert "10 vectors taken back" in capsys.readouterr().out
    row = encoding.run(woken[1])
    assert row is not None and row.counts["text"]["encoded"] + row.counts["text"]["unchanged"] == 20
    space = vectors.space("text")
    assert space is not None and len(space) == 20 and space.encode(["the sea"]).any()
    assert remove("text") == 0


def test_another_import_replaces_the_one_before(items: dict[str, Item], tmp_path: Path) -> None:
    import_vectors(vector_files.read(npz(tmp_path / "a.npz")), "text", "a")
    more = import_vectors(vector_files.read(npz(tmp_path / "b.npz", ["hill-00"], VECTORS[:1])), "text", "a")
    assert more.replaced == "" and ItemVector.objects.filter(encoder="imported:a").count() == 11
    wide = np.ones((1, 7), dtype=np.float32)
    other = import_vectors(vector_files.read(npz(tmp_path / "c.npz", ["hill-00"], wide)), "text", "a")
    assert other.kept == 0  # those that are there have four numbers
    other = import_vectors(vector_files.read(tmp_path / "c.npz"), "text", "b")
    assert (other.kept, other.replaced, other.dimension) == (1, "a", 7)
    assert current("text") == "b" and ItemVector.objects.filter(encoder="imported:a").count() == 0


def test_they_serve_in_a_modality_that_is_off(items: dict[str, Item], tmp_path: Path, woken: list[int]) -> None:
    call_command("import_vectors", npz(tmp_path / "looks.npz"), modality="image")
    encoding.run(woken[0])
    assert not encoding.due()
    space, fused = vectors.space("image"), vectors.space("fused")
    assert space is not None and fused is not None
    assert len(space) == 10 and len(fused) == 20


def test_the_command_says_what_is_wrong(items: dict[str, Item], tmp_path: Path, woken: list[int]) -> None:
    for asked in ({}, {"file": tmp_path / "no.npz"}, {"file": npz(tmp_path / "n.npz", ["x"], VECTORS[:1])}):
        with pytest.raises(CommandError):
            call_command("import_vectors", *filter(None, [asked.get("file")]), modality="text")
    assert woken == [] and not Encoding.objects.exists()
