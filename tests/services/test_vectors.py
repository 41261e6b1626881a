"""Asking the vectors: held against a plain search over what the table holds, through everything that changes it."""

import json
import os
import shutil
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.encoders import ENCODERS
from recommender.models import Encoding, Item, ItemVector
from recommender.services.content import content_artifacts, encoding, vectors
from recommender.services.content.item_vectors import as_bytes
from recommender.services.content.vectors import Space
from recommender.services.errors import InvalidInput
from tests.contracts.encoder import WEB_MAY_NOT_LOAD
from tests.workers.conftest import database_url

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("no_heart")]

WORDS = ["sea", "harbour", "storm", "hill", "path", "summit", "jazz", "piano", "trumpet", "red", "blue", "green"]


@pytest.fixture
def shop_of(db: None) -> Any:
    """shop_of(n) -> n items of three words each."""

    def shop_of(n: int) -> list[str]:
        random = np.random.default_rng(n)
        titles = [" ".join(random.choice(WORDS, 3)) + f" {row}" for row in range(n)]
        Item.objects.bulk_create(Item(id=f"item-{row:04d}", title=title) for row, title in enumerate(titles))
        return [f"item-{row:04d}" for row in range(n)]

    return shop_of


def encoded(**asked: Any) -> Encoding:
    row = encoding.run(encoding.request(**asked).pk)
    assert row is not None and row.status == "succeeded", row
    return row


def space(modality: str = "text") -> Space:
    found = vectors.space(modality)
    assert found is not None
    return found


def plain(query: np.ndarray, k: int, left_out: set[str] = frozenset()) -> tuple[list[str], list[float]]:  # type: ignore[assignment]
    """The oracle: every vector of the table, one by one."""
    rows = ItemVector.objects.filter(modality="text", vector__isnull=False).exclude(item_id__in=left_out)
    scored = [(-float(np.frombuffer(row.vector, "<f4") @ query), row.item_id) for row in rows]
    scored.sort()
    return [item_id for _, item_id in scored[:k]], [-score for score, _ in scored[:k]]


def agrees(query: np.ndarray, k: int = 10, left_out: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    ids, cosines = space().nearest(query, k, left_out)
    expected, scores = plain(query, k, left_out)
    np.testing.assert_allclose(cosines, scores, atol=1e-5)
    assert not set(ids) & set(left_out) and len(set(ids)) == len(ids) == len(expected)
    found = space().vectors(ids) @ query
    np.testing.assert_allclose(found, cosines, atol=1e-5)


def test_nothing_before_the_first_encoding(shop_of: Any) -> None:
    shop_of(3)
    assert [vectors.space(modality) for modality in vectors.MODALITIES] == [None] * 4
    assert vectors.features(["item-0000"]) is None


@pytest.mark.parametrize("index", ["auto", "faiss"])
def test_nearest_is_what_a_plain_search_finds(shop_of: Any, settings: Any, index: str) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "index": index}
    ids = shop_of(120)
    encoded()
    query = space().encode(["storm over the harbour"])[0]
    agrees(query)
    agrees(query, 200)  # more than there are
    agrees(query, 10, set(ids[:100]))
    for n in range(8):  # newer than the artifact
        Item.objects.create(id=f"new-{n}", title=f"harbour storm {n}")
    Item.objects.get(pk="item-0003").delete()
    item = Item.objects.get(pk="item-0004")
    item.title = "harbour storm"
    item.save()
    assert not encoded(changed_since_last=True).artifact
    agrees(query)
    agrees(query, 200, set(ids[:100]))
    assert len(space()) == len(space().item_ids) == 128  # the deleted one is found out when it is near
    assert space().nearest(query, 3)[0] == plain(query, 3)[0]


def test_a_deleted_item_is_never_near(shop_of: Any) -> None:
    shop_of(20)
    encoded()
    query = space().vectors(["item-0005"])[0]
    assert space().nearest(query, 1)[0] == ["item-0005"]
    Item.objects.get(pk="item-0005").delete()
    assert "item-0005" not in space().nearest(query, 20)[0]
    assert len(space().nearest(query, 20)[0]) == 19


def test_an_item_encoded_a_moment_ago_is_there_within_seconds(shop_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_of(20)
    encoded()
    query = space().encode(["a lighthouse"])[0]
    monkeypatch.setattr(vectors, "look_again", lambda: None)  # as in another process than the worker
    Item.objects.create(id="new", title="a lighthouse")
    encoded(changed_since_last=True)
    assert "new" not in space().nearest(query, 1)[0]
    monkeypatch.setattr(vectors, "FRESH_S", 0.0)
    assert space().nearest(query, 1)[0] == ["new"]
    assert space("fused").vectors(["new"]).any()


def test_within_seconds_the_table_is_asked_once(shop_of: Any, django_assert_num_queries: Any) -> None:
    shop_of(20)
    encoded()
    query = space().vectors(["item-0001"])[0]
    with django_assert_num_queries(0):
        for _ in range(5):
            space().vectors(["item-0001"])
    with django_assert_num_queries(1):  # whether those found still exist
        space().nearest(query, 5)


def test_nothing_new_costs_a_look_and_no_vectors(
    shop_of: Any, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_of(20)
    encoded()
    before = space()
    monkeypatch.setattr(vectors, "FRESH_S", 0.0)
    vectors.space("text")  # meets those that were written within the last seconds
    with django_assert_num_queries(2):
        assert len(space()) == len(before)


def test_vectors_and_features(shop_of: Any) -> None:
    shop_of(20)
    encoded()
    found = space().vectors(["item-0002", "nobody", "item-0001", "item-0002"])
    assert found.dtype == np.float32 and not found[1].any()
    np.testing.assert_array_equal(found[0], found[3])
    assert space().vectors([]).shape == (0, space().dimension)
    told = vectors.features(["item-0002", "nobody"])
    assert told is not None and told.shape == (2, space("fused").dimension)
    assert told[0].any() and not told[1].any()


def test_what_a_query_may_not_be(shop_of: Any) -> None:
    shop_of(5)
    encoded()
    with pytest.raises(InvalidInput):
        space().nearest(np.zeros(3, dtype=np.float32), 5)
    with pytest.raises(InvalidInput):
        space("fused").encode(["words"])
    assert space().nearest(space().encode(["sea"])[0], 0)[0] == []


def damage(kind: str) -> None:
    path = conf().artifacts_dir / vectors.live_content()
    if kind == "missing":
        shutil.rmtree(path)
    elif kind == "cut":
        (path / "text/vectors.npy").write_bytes(b"\x93NUMPY")
    elif kind == "changed":
        file = path / "text/vectors.npy"
        file.write_bytes(file.read_bytes()[:-4] + b"\0\0\xc0\x7f")
    else:
        (path / "manifest.json").write_text("{}")


@pytest.mark.parametrize("kind", ["missing", "cut", "changed", "manifest"])
def test_a_damaged_artifact_is_no_artifact(shop_of: Any, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    shop_of(5)
    first = encoded().artifact
    damage(kind)
    vectors.forget()
    assert vectors.space("text") is None and vectors.features(["item-0001"]) is None
    assert first in caplog.text
    caplog.clear()
    assert vectors.space("text") is None and not caplog.text  # not tried again for every question
    assert encoded(changed_since_last=True).artifact != first  # the next encoding writes it anew
    assert len(space()) == 5


def test_a_process_goes_on_with_what_it_has_mapped(shop_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop_of(5)
    encoded()
    held = space()
    monkeypatch.setattr(content_artifacts, "KEEP", 1)
    encoded(everything=True)
    assert len(held.nearest(held.vectors(["item-0001"])[0], 5)[0]) == 5
    Encoding.objects.update(artifact="content-gone")
    vectors.look_again()
    assert len(space()) == 5


def test_a_damaged_encoder_takes_nothing_from_outside(shop_of: Any) -> None:
    shop_of(5)
    row = encoded()
    [folder] = conf().artifacts_dir.glob("encoder-*")
    (folder / "dimension.npy").write_bytes(b"")
    vectors.forget()
    with pytest.raises(InvalidInput):
        space().encode(["sea"])
    assert space().nearest(space().vectors(["item-0001"])[0], 2)[0][0] == "item-0001"
    again = encoded()  # it is learned again, and is the same
    assert again.encoders["text"]["encoder"] == row.encoders["text"]["encoder"]
    vectors.forget()
    assert space().encode(["sea"]).any()


def test_while_another_encoder_is_at_work_the_old_one_serves(shop_of: Any, settings: Any) -> None:
    shop_of(10)
    encoded()
    before = space().vectors(["item-0001"])
    half = np.zeros(64, dtype=np.float32)
    half[0] = 1
    ItemVector.objects.filter(item_id="item-0001").update(
        encoder="hashing:other", vector=as_bytes(half), encoded_at=timezone.now()
    )
    vectors.look_again()
    np.testing.assert_array_equal(space().vectors(["item-0001"]), before)


def test_a_space_is_fused_from_what_items_have(shop_of: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh items and those of the artifact are fused by the same parameters."""
    monkeypatch.setitem(ENCODERS["image"], "colours", "tests.services.encoders.MeanColourEncoder")
    on = {"text": {"name": "hashing"}, "image": {"name": "colours"}}
    settings.RECOMMENDER = {**settings.RECOMMENDER, "encoders": on}
    ids = shop_of(30)
    random = np.random.default_rng(1)
    row = encoded()
    assert row.artifact
    encoder = row.encoders["image"]["encoder"]
    for item_id in ids[:20]:
        looks = random.normal(size=3).astype(np.float32)
        ItemVector.objects.filter(item_id=item_id, modality="image").update(
            vector=as_bytes(looks / np.linalg.norm(looks)), encoded_at=timezone.now(), encoder=encoder
        )
    row = encoding.request()
    Encoding.objects.filter(pk=row.pk).update(status="succeeded", encoders={}, started_at=timezone.now())
    name = content_artifacts.write(row, Encoding.objects.exclude(encoders={}).latest("id").encoders, lambda *_: None)
    Encoding.objects.filter(pk=row.pk).update(artifact=name)
    vectors.look_again()
    before = space("fused").vectors(ids)
    ItemVector.objects.update(encoded_at=timezone.now())  # everything is newer than the artifact now
    vectors.look_again()
    np.testing.assert_allclose(space("fused").vectors(ids), before, atol=1e-6)
    assert space("image").nearest(space("image").vectors([ids[3]])[0], 1)[0] == [ids[3]]


@pytest.mark.django_db(transaction=True)
def test_many_threads_ask_while_items_come_and_go(shop_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = shop_of(30)
    encoded()
    query = space().vectors([ids[0]])[0]
    monkeypatch.setattr(vectors, "FRESH_S", 0.0)
    wrong: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        try:
            while not stop.is_set():
                found, cosines = space().nearest(query, 10)
                assert len(found) == 10 and (np.diff(cosines) <= 1e-6).all()
        except BaseException as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(3):
        Item.objects.create(id=f"new-{n}", title="sea")
        encoded(changed_since_last=True)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(space()) == 33


@pytest.mark.django_db(transaction=True)
def test_a_web_process_answers_without_what_only_workers_load(shop_of: Any, tmp_path: Any) -> None:
    shop_of(10)
    encoded()
    script = f"""
import sys, json, django
from django.conf import settings
django.setup()
settings.RECOMMENDER["artifacts_dir"] = __import__("pathlib").Path({str(conf().artifacts_dir)!r})
from recommender.services.content import vectors
space = vectors.space("text")
found = space.nearest(space.encode(["sea storm"])[0], 3)[0]
print(json.dumps([found, [name for name in {WEB_MAY_NOT_LOAD!r} if name in sys.modules]]))
"""
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "recsite.settings", "DATABASE_URL": database_url(),
        "RECSITE_VAR": str(tmp_path), "ENCODERS": json.dumps(conf().encoders),
    }  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found, loaded = json.loads(ended.stdout)
    assert found == space().nearest(space().encode(["sea storm"])[0], 3)[0] and loaded == []
