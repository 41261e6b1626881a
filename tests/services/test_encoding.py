"""Encodings: what is encoded, what is left alone, what is refused, and what a killed worker leaves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.encoders.text.hashing import Hashing
from recommender.models import Category, Encoding, Item, ItemVector, Picture
from recommender.services import catalogue, orders
from recommender.services.content import encoding, encoding_work, item_vectors, vectors
from recommender.services.errors import EncodingActive, UnknownEncoding
from tests.services.conftest import BLUE, RED, SEA, encoded, picture

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("no_heart")]


def stored(item_id: str, modality: str = "text") -> np.ndarray:
    return np.frombuffer(ItemVector.objects.get(item_id=item_id, modality=modality).vector, dtype="<f4")


def test_every_item_gets_a_vector_of_what_it_says(items: dict[str, Item]) -> None:
    row = encoded()
    assert (row.status, row.error, row.share_done) == ("succeeded", "", 1.0)
    assert row.counts == {"text": {"items": 20, "encoded": 20, "unchanged": 0, "nothing": 0, "refused": 0}}
    assert [stage["stage"] for stage in row.stages] == list(encoding_work.STAGES)
    assert row.encoders["text"]["encoder"].startswith("hashing:")
    space = vectors.space("text")
    assert space is not None and len(space) == 20
    for item_id in ("sea-03", "hill-07"):
        np.testing.assert_allclose(np.linalg.norm(stored(item_id)), 1, atol=1e-5)
        np.testing.assert_array_equal(space.vectors([item_id])[0], stored(item_id))
    ids, _ = space.nearest(space.encode(["something of the sea"])[0], 10)
    assert {item_id[:3] for item_id in ids} == {SEA}


def test_only_what_changed_is_encoded_again(items: dict[str, Item], texts: list[str]) -> None:
    encoded()
    del texts[:]
    catalogue.put("sea-00", {"title": "A quiet harbour"})
    catalogue.put("hill-00", {"price": "12.00"})  # saved, but it says the same
    row = encoded(changed_since_last=True)
    assert len(texts) == 1 and texts[0].startswith("A quiet harbour")
    # What was saved shortly before the last encoding is looked at too: it may have been committed after it looked.
    assert row.counts["text"] == {"items": 20, "encoded": 1, "unchanged": 19, "nothing": 0, "refused": 0}
    assert row.artifact == ""  # one item is no reason to write everything anew
    space = vectors.space("text")
    assert space is not None
    assert space.nearest(space.encode(["harbour"])[0], 1)[0] == ["sea-00"]
    assert not encoding.due()


def test_items_saved_long_ago_are_not_looked_at(items: dict[str, Item]) -> None:
    Item.objects.update(updated_at=timezone.now() - timedelta(days=1))
    encoded()
    catalogue.put("sea-00", {"title": "A quiet harbour"})
    assert encoded(changed_since_last=True).counts["text"]["items"] == 1
    assert encoded().counts["text"]["items"] == 20


def test_everything_again(items: dict[str, Item], texts: list[str]) -> None:
    before = encoded()
    row = encoded(everything=True)
    assert row.counts["text"]["encoded"] == 20 and len(texts) == 40
    assert row.artifact and row.artifact != before.artifact


def test_due_when_an_item_is_new_edited_or_has_another_picture(items: dict[str, Item], seen: None) -> None:
    assert encoding.due()
    encoded()
    assert not encoding.due()
    Item.objects.create(id="new", title="A lighthouse")
    assert encoding.due()
    encoded(changed_since_last=True)
    assert not encoding.due()
    picture(items["sea-00"])
    catalogue.touch(Item.objects.filter(pk="sea-00"))
    assert encoding.due()
    assert encoded(changed_since_last=True).counts["image"]["encoded"] == 1
    assert not encoding.due()


def test_due_when_the_settings_name_another_encoder(items: dict[str, Item], settings: Any) -> None:
    encoded()
    smaller = {"text": {"name": "hashing", "config": {"dimension": 64}}, "image": None, "audio": None}
    settings.RECOMMENDER = {**settings.RECOMMENDER, "encoders": smaller}
    assert encoding.due()
    row = encoded(changed_since_last=True)
    assert row.counts["text"]["encoded"] == 20 and len(stored("sea-00")) == 64
    space = vectors.space("text")
    assert space is not None and space.dimension == 64
    assert not encoding.due()


def test_not_due_without_encoders_or_while_one_is_active_or_soon_after_a_failure(
    items: dict[str, Item], settings: Any
) -> None:
    row = encoding.request()
    assert not encoding.due()
    encoding.cancel(row.pk)
    assert not encoding.due()
    Encoding.objects.update(finished_at=timezone.now() - encoding.RETRY_AFTER)
    assert encoding.due()
    settings.RECOMMENDER = {**settings.RECOMMENDER, "encoders": {"text": None}}
    assert not encoding.due()


def test_an_order_changes_nothing_that_is_encoded(shop: dict[str, Item], account: Any) -> None:
    Item.objects.filter(pk="sea-00").update(stock=5)
    encoded()
    orders.add(account, Item.objects.get(pk="sea-00"))
    orders.place(account, orders.Address("Ada", "ada@example.org", "1 Quay"))
    assert Item.objects.get(pk="sea-00").stock == 4
    assert not encoding.due()


def test_one_that_cannot_be_read_is_refused_and_the_others_go_on(items: dict[str, Item], seen: None) -> None:
    picture(items["sea-00"], RED)
    picture(items["sea-01"], data=b"no picture at all")
    lost = picture(items["sea-02"], BLUE)
    lost.file.storage.delete(lost.file.name)
    picture(items["sea-03"], (90, 90, 90))  # grey says nothing
    row = encoded()
    assert row.status == "succeeded"
    assert row.counts["image"] == {"items": 20, "encoded": 1, "unchanged": 0, "nothing": 17, "refused": 2}
    assert [(one["item"], one["modality"]) for one in row.refused] == [("sea-01", "image"), ("sea-02", "image")]
    refused = ItemVector.objects.filter(error__gt="")
    assert {one.item_id: one.vector for one in refused} == {"sea-01": None, "sea-02": None}
    assert all(one.error.endswith(".") for one in refused)
    space = vectors.space("image")
    assert space is not None and space.item_ids == ["sea-00"]
    Picture.objects.get(item_id="sea-01").delete()
    picture(items["sea-01"], BLUE)
    catalogue.touch(Item.objects.filter(pk="sea-01"))
    assert encoded(changed_since_last=True).counts["image"]["encoded"] == 1


def test_a_picture_taken_away_leaves_no_vector(items: dict[str, Item], seen: None) -> None:
    made = picture(items["sea-00"])
    encoded()
    made.delete()
    catalogue.touch(Item.objects.filter(pk="sea-00"))
    encoded(changed_since_last=True)
    space, fused = vectors.space("image"), vectors.space("fused")
    assert space is not None and fused is not None
    assert len(space) == 0 and not space.vectors(["sea-00"]).any()
    assert fused.vectors(["sea-00"]).any()  # it still says something


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError()])
def test_a_decoder_that_breaks_is_that_items_misfortune(
    items: dict[str, Item], seen: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    picture(items["sea-00"], data=b"harmful")
    picture(items["sea-01"], BLUE)
    real = item_vectors.item_content.pictures.read

    def read(data: bytes) -> Any:
        if data == b"harmful":
            raise error
        return real(data)

    monkeypatch.setattr(item_vectors.item_content.pictures, "read", read)
    assert encoded().counts["image"]["encoded"] == 1
    assert ItemVector.objects.get(item_id="sea-00", modality="image").error


def test_an_encoder_that_breaks_over_one_item_encodes_the_others(
    items: dict[str, Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Hashing.encode

    def encode(self: Hashing, inputs: Any) -> Any:
        if any(text.startswith("Sea 05") for text in inputs):
            raise RuntimeError("a text that nobody thought of")
        found = real(self, inputs)
        found[[text.startswith("Sea 06") for text in inputs]] = np.nan
        return found

    monkeypatch.setattr(Hashing, "encode", encode)
    row = encoded()
    assert row.status == "succeeded" and row.counts["text"]["encoded"] == 18
    assert {one["item"] for one in row.refused} == {"sea-05", "sea-06"}


def killed_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """The worker dies after so many batches, as by SIGKILL: nothing of it runs any more."""
    real, left = item_vectors.Pass._batch, [batches]

    def batch(self: Any, *args: Any) -> None:
        if not left[0]:
            raise SystemExit
        left[0] -= 1
        real(self, *args)

    monkeypatch.setattr(item_vectors.Pass, "_batch", batch)


def test_the_next_try_goes_on_where_a_killed_worker_stopped(
    items: dict[str, Item], texts: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setitem(item_vectors.BATCH, "text", 4)
    asked = encoding.request(everything=True)
    with monkeypatch.context() as deadly:
        killed_after(deadly, 3)
        with pytest.raises(SystemExit):
            encoding.run(asked.pk)
    assert ItemVector.objects.count() == 12
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 0}
    assert encoding.recover() == [asked.pk]
    row = encoding.run(asked.pk)
    assert row is not None and (row.status, row.tries) == ("succeeded", 2)
    assert len(texts) == len(set(texts)) == 20
    assert row.counts["text"]["encoded"] == 20


def test_an_encoding_whose_worker_is_lost_again_and_again_fails(items: dict[str, Item], settings: Any) -> None:
    row = encoding.request()
    Encoding.objects.update(status="running", tries=conf().max_tries)
    assert encoding.recover() == []
    row.refresh_from_db()
    assert row.status == "failed" and "lost" in row.error


def test_cancelling_keeps_what_was_encoded(items: dict[str, Item], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(item_vectors.BATCH, "text", 4)
    asked, real = encoding.request(), item_vectors.Pass._batch

    def batch(self: Any, *args: Any) -> None:
        real(self, *args)
        Encoding.objects.update(status="cancelled")  # as `cancel` is heard, without waiting for a heartbeat

    with monkeypatch.context() as cancelled:
        cancelled.setattr(item_vectors.Pass, "_batch", batch)
        row = encoding.run(asked.pk)
    assert row is not None and row.status == "cancelled"
    assert ItemVector.objects.count() == 4
    assert encoded().counts["text"] == {"items": 20, "encoded": 16, "unchanged": 4, "nothing": 0, "refused": 0}


@pytest.mark.django_db(transaction=True)  # keys are checked at the commit
def test_an_item_deleted_meanwhile_does_no_harm(items: dict[str, Item], monkeypatch: pytest.MonkeyPatch) -> None:
    real = item_vectors.Pass._save

    def save(self: Any, *args: Any) -> None:
        Item.objects.filter(pk__in=["sea-04", "hill-04"]).delete()
        real(self, *args)

    monkeypatch.setattr(item_vectors.Pass, "_save", save)
    row = encoded()
    assert row.status == "succeeded" and ItemVector.objects.count() == 18


def test_one_at_a_time(items: dict[str, Item]) -> None:
    row = encoding.request()
    with pytest.raises(EncodingActive) as refused:
        encoding.request()
    assert refused.value.context["encoding_id"] == row.pk
    with pytest.raises(UnknownEncoding):
        encoding.cancel(row.pk + 1)
    assert encoding.run(row.pk + 1) is None


def test_what_an_item_says(items: dict[str, Item]) -> None:
    parent = Category.objects.get(pk="nature")
    item = Item(id="x", title="The Tide", creator="Ada Moor", description="A storm.")
    item.category = Category(slug="s", name="Sea", parent=parent)
    item.attributes = {"format": ["A3", "A2"], "signed": True, "framed": False, "pages": 12}
    item.attributes |= {"link": "https://x", "nest": {"a": 1}}
    said = item_vectors.item_content.text(item)
    assert said == "The Tide by Ada Moor\nNature: Sea\nA storm.\nformat A3, format A2, signed, pages 12"
    assert item_vectors.item_content.text(Item(id="y", title="Bare", attributes=[1])) == "Bare"


def test_pairs_are_items_that_shoppers_took_together(shop: dict[str, Item]) -> None:
    pairs = item_vectors.item_content.pairs(1000)
    assert len(pairs) >= 20
    assert all(left[:3] == right[:3] and left != right for left, right in pairs)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert item_vectors.item_content.pairs(3) == pairs[:3]


def test_progress_is_told(items: dict[str, Item]) -> None:
    told: list[tuple[str, float]] = []
    hear: Callable[[Encoding], None] = lambda row: told.append((row.stage, row.share_done))  # noqa: E731
    encoding.run(encoding.request().pk, told=hear)
    assert told[0][0] == "look" and told[-1] == ("write", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
