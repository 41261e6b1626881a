"""What an encoding does beside encoding: encoders learn, fail and are fine-tuned, artifacts are written and swept."""

from typing import Any

import numpy as np
import pytest

from recommender.conf import conf
from recommender.engine.encoders import store
from recommender.engine.encoders.text.hashing import Hashing, HashingEncoder
from recommender.engine.errors import EndpointFailed, ModelMissing
from recommender.models import Item
from recommender.services import catalogue
from recommender.services.content import (
    content_artifacts,
    encoding,
    encoding_work,
    fine_tuning,
    item_content,
    item_vectors,
    vectors,
)
from recommender.services.errors import InvalidInput
from tests.services.conftest import encoded, picture

pytestmark = [pytest.mark.django_db, pytest.mark.database, pytest.mark.usefixtures("no_heart")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelMissing("Put it into models/."), "The model is not there or cannot be read. Put it into models/."),
        (ImportError("No module named 'x'"), "No module named 'x'. Install its packages."),
        (ValueError("odd"), "It broke (ValueError: odd)."),
    ],
)
def test_without_one_modality_the_others_go_on(
    items: dict[str, Item], seen: None, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def missing(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(HashingEncoder, "fit", staticmethod(missing))
    picture(items["sea-00"])
    row = encoded()
    assert (row.status, row.error) == ("succeeded", f"Text: {said}")
    assert row.encoders["text"]["failed"] and vectors.space("text") is None
    assert vectors.space("image") is not None
    assert not encoding.due()  # nothing but the settings or a person can mend it


def test_where_an_endpoint_is_down_it_is_asked_once_and_the_other_modalities_go_on(
    items: dict[str, Item], seen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def down(self: Any, inputs: Any) -> Any:
        asked.append(len(inputs))
        raise EndpointFailed("It answered 503.")

    monkeypatch.setattr(Hashing, "encode", down)
    picture(items["sea-00"])
    row = encoded()
    assert (row.status, row.error) == ("failed", "The other side did not answer as it should. It answered 503.")
    assert asked == [len(items)]
    assert row.counts["image"]["encoded"] == 1
    assert vectors.space("image") is not None
    assert not encoding.due()  # for a while


def test_an_encoder_learns_again_when_the_catalogue_has_grown(
    items: dict[str, Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[int] = []
    real = HashingEncoder.fit

    def fit(inputs: Any, config: Any, options: Any) -> Any:
        fitted.append(len(inputs))
        return real(inputs, config, options)

    monkeypatch.setattr(HashingEncoder, "fit", staticmethod(fit))
    encoded()
    Item.objects.bulk_create(Item(id=f"more-{n}", title=f"More {n}") for n in range(5))
    encoded()
    assert fitted == [20]
    Item.objects.bulk_create(Item(id=f"many-{n}", title=f"Many {n}") for n in range(10))
    encoded()
    assert fitted == [20, 35]


def test_the_artifact_is_written_anew_when_enough_has_changed(
    items: dict[str, Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_artifacts, "REWRITE_AFTER", 2)
    first = encoded().artifact
    for n, wanted in enumerate(["", "", "content"]):
        catalogue.put(f"sea-{n:02d}", {"title": f"A harbour {n}"})
        assert encoded(changed_since_last=True).artifact[:7] == wanted
    assert vectors.live_content() != first
    assert (conf().artifacts_dir / first).exists()  # a process may still be opening the one before
    encoded(everything=True)
    assert not (conf().artifacts_dir / first).exists()
    assert len(list(conf().artifacts_dir.glob("content-*"))) == 2
    assert len(list(conf().artifacts_dir.glob("encoder-*"))) == 1


def test_what_is_ready_serves_while_another_encoder_learns_and_new_items_are_encoded_meanwhile(
    items: dict[str, Item], seen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.services.encoders import MeanColourEncoder

    monkeypatch.setattr(encoding_work, "CATCH_UP_S", 0.0)
    picture(items["sea-00"])
    found: list[str] = []

    def fit(inputs: Any, config: Any, options: Any) -> dict[str, np.ndarray]:
        Item.objects.create(id="new", title="A lighthouse")
        options.progress(0.5, "halfway")
        vectors.look_again()
        space = vectors.space("text")
        assert space is not None and len(space) == 21
        found.extend(space.nearest(space.encode(["lighthouse"])[0], 1)[0])
        return {"seen": np.array([len(inputs)])}

    monkeypatch.setattr(MeanColourEncoder, "fit", staticmethod(fit))
    row = encoded()
    assert row.status == "succeeded" and found == ["new"]
    assert row.counts["image"]["items"] == 21 and not encoding.due()
    assert [path.name for path in conf().artifacts_dir.glob("content-*")] == [row.artifact]


def test_an_encoder_that_learned_is_not_learned_again_by_the_next_try(
    items: dict[str, Item], seen: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    from tests.services.encoders import MeanColourEncoder

    fitted: list[int] = []
    monkeypatch.setattr(
        MeanColourEncoder, "fit", staticmethod(lambda inputs, *_: fitted.append(len(inputs)) or {"seen": np.array([1])})
    )
    asked = encoding.request(everything=True)
    with monkeypatch.context() as deadly:
        deadly.setattr(content_artifacts, "write", _die)
        with pytest.raises(SystemExit):
            encoding.run(asked.pk)
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 0}
    encoding.recover()
    picture(items["sea-00"])
    row = encoding.run(asked.pk)
    assert row is not None and (row.status, row.tries) == ("succeeded", 2)
    assert len(fitted) == 1


def _die(*_: Any) -> None:
    raise SystemExit


def test_an_encoder_of_another_version_of_the_code_is_learned_again(
    items: dict[str, Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        plain = store._plain
        other.setattr(store, "_plain", lambda config: {**plain(config), "no_longer_there": 1})
        with pytest.raises(AssertionError):  # nothing can be encoded with it here
            assert encoded().status == "succeeded"
    assert encoded().status == "succeeded" and vectors.space("text") is not None


def test_a_file_that_workers_die_of_is_refused_by_the_third_try(
    items: dict[str, Item], seen: None, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """As a decoder that breaks the process does: no error, no next line."""
    picture(items["sea-00"])
    picture(items["sea-01"], data=b"deadly")
    picture(items["sea-02"])
    real = item_content.pictures.read
    monkeypatch.setattr(item_content.pictures, "read", lambda data: _die() if data == b"deadly" else real(data))
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 0}
    asked = encoding.request()
    for _ in range(2):
        with pytest.raises(SystemExit):
            encoding.run(asked.pk)
        assert encoding.recover() == [asked.pk]
    row = encoding.run(asked.pk)
    assert row is not None and (row.status, row.tries, row.counts["image"]["encoded"]) == ("succeeded", 3, 2)
    assert row.refused == [{"item": "sea-01", "modality": "image", "error": item_vectors.DEADLY}]


@pytest.fixture
def tower(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[dict[str, Any]]:
    """Fine-tuning in a moment: `hashing` with other settings, gaining what the list says."""
    from recommender.engine.encoders.text_tower import Gain, Tuned

    asked: list[dict[str, Any]] = []

    def fine_tune(texts: Any, pairs: Any, config: Any, options: Any) -> Tuned:
        asked.append({"texts": texts, "pairs": pairs})
        gain = Gain(0.1, 0.2, 0.3, 0.4, 0.5, 3, len(pairs), 10, 20)
        return Tuned({"dimension": np.array([512]), "taught": np.array([len(asked)])}, gain)

    monkeypatch.setattr("recommender.engine.encoders.text_tower.fine_tune", fine_tune)
    monkeypatch.setattr("recommender.engine.encoders.text_tower.TextTowerConfig", lambda encoder: encoder)
    monkeypatch.setitem(fine_tuning.TUNERS, "text", ("hashing",))
    return asked


def test_fine_tuning_learns_from_pairs_and_encodes_everything_anew(
    shop: dict[str, Item], tower: list[dict[str, Any]], texts: list[str]
) -> None:
    before = encoded()
    del texts[:]
    row = encoded(tune="text", reason="taught")
    assert row.status == "succeeded" and row.report["tuned"]["after"] == 0.2
    assert row.encoders["text"]["encoder"] != before.encoders["text"]["encoder"] and row.encoders["text"]["tuned"]
    assert len(texts) == row.counts["text"]["encoded"] == 20 and row.artifact
    told = tower[0]
    assert all(told["texts"][left][:3] == told["texts"][right][:3] for left, right in told["pairs"])
    Item.objects.bulk_create(Item(id=f"more-{n}", title=f"More {n}") for n in range(30))
    again = encoded(everything=True)  # what was taught is kept
    assert again.encoders["text"]["encoder"] == row.encoders["text"]["encoder"] and len(tower) == 1
    encoding.undo_tuning("text")
    assert encoded().encoders["text"]["encoder"] == before.encoders["text"]["encoder"]


def test_a_picture_encoder_is_taught_from_what_it_was(
    shop: dict[str, Item], seen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recommender.engine.encoders.image.fine_tuning import Gain, Tuned

    asked: list[tuple[Any, ...]] = []

    def fine_tune(inputs: Any, pairs: Any, arrays: Any, config: Any, tower: Any, options: Any) -> Tuned:
        asked.append((len(inputs), pairs.tolist(), {key: array.tolist() for key, array in arrays.items()}))
        return Tuned({"seen": np.array([-1])}, Gain(0.1, 0.2, True, 3, len(pairs), 10, 20))

    monkeypatch.setattr("recommender.engine.encoders.image.fine_tuning.fine_tune", fine_tune)
    monkeypatch.setitem(fine_tuning.TUNERS, "image", ("colours",))
    for item_id in ("sea-00", "sea-01"):
        picture(shop[item_id])
    encoded()
    row = encoded(tune="image")
    assert asked == [(2, [[0, 1]], {"seen": [2]})]
    assert row.status == "succeeded" and row.report["tuned"]["share"] == 1 and row.encoders["image"]["tuned"]
    assert row.counts["image"]["encoded"] == 2 and row.counts["text"]["encoded"] == 0


def test_fine_tuning_that_fails_leaves_what_serves(items: dict[str, Item], tower: list[dict[str, Any]]) -> None:
    before = encoded()
    row = encoded(tune="text")  # nobody bought anything
    assert row.status == "failed" and "taken together" in row.error
    assert vectors.space("text") is not None and not encoding.due()
    catalogue.put("sea-00", {"title": "A quiet harbour"})
    assert encoding.due()
    assert encoded(changed_since_last=True).encoders["text"]["encoder"] == before.encoders["text"]["encoder"]


def test_what_cannot_be_fine_tuned(items: dict[str, Item]) -> None:
    for modality in ("text", "image", "smell"):
        with pytest.raises(InvalidInput, match="cannot be fine-tuned"):
            encoding.request(tune=modality)
