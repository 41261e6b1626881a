"""How items are described: by words and vectors, of new items in the same way as of those that were learned from."""

import json

import numpy as np
import pytest

from recommender.models import Item
from recommender.services import event_log
from recommender.services.content import encoding, item_features, vectors
from recommender.services.content.item_features import Description
from tests.services.conftest import SEA, item_ids

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database, pytest.mark.usefixtures("quick_heart")]


@pytest.fixture
def encoded(items: dict[str, Item]) -> list[str]:
    row = encoding.run(encoding.request().pk)
    assert row is not None and row.status == "succeeded"
    vectors.look_again()
    return sorted(items)


def test_words_and_vectors_stand_side_by_side_and_count_alike(encoded: list[str]) -> None:
    found = Description.of(encoded)
    assert found.words == ("category hill", "category sea") and list(found.encoders) == ["text"]
    features = found.features(encoded)
    assert features is not None and features.shape == (20, found.width)
    np.testing.assert_allclose(np.linalg.norm(features[:, :2], axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(features[:, 2:], axis=1), 1, atol=1e-5)
    space = vectors.space("text")
    assert space is not None
    np.testing.assert_allclose(features[:, 2:], space.vectors(encoded), atol=1e-5)


def test_a_description_survives_json_and_describes_others_by_it(encoded: list[str]) -> None:
    found = Description.of(item_ids(SEA))
    assert found.words == ("category sea",)
    again = Description.read(json.loads(json.dumps(found.as_json())))
    assert again == found
    features = again.features(["hill-00", "nowhere", "sea-00"])
    assert features is not None and features[:, 0].tolist() == [0, 0, 1]
    assert features[0].any() and not features[1].any()


def test_a_catalogue_too_large_for_vectors_is_described_by_words(
    encoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_features, "CELLS", 1_000)
    assert not Description.of(encoded).encoders and Description.of(encoded).words


def test_many_items_are_described_as_few_are(encoded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    few = Description.of(encoded[:12])
    expected = few.features(encoded[:12])
    monkeypatch.setattr(item_features, "FEW", 3)
    assert Description.of(encoded[:12]) == few
    np.testing.assert_array_equal(few.features(encoded[:12]), expected)


def test_trainers_that_look_at_features_see_both(encoded: list[str]) -> None:
    taken = np.array(encoded, dtype=object)
    kinds = np.full(20, "purchase", dtype=object)
    log = event_log.EventLog(taken, taken, kinds, np.full(20, np.nan), np.arange(20), np.full(20, "", dtype=object))
    data = event_log.described(event_log.interactions(log))
    np.testing.assert_array_equal(data.item_features, Description.of(encoded).features(encoded))


def test_nothing_known_is_no_features(db: None) -> None:
    assert Description.of(["a", "b"]).features(["a", "b"]) is None
