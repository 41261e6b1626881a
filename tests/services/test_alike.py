"""What is like a picture, a recording or another item, and the reasons given for it."""

import numpy as np
import pytest

from recommender.engine.errors import Unreadable
from recommender.models import Item
from recommender.services import alike, serving, shared_words
from recommender.services.content import vectors
from recommender.services.errors import InvalidInput, NotPrepared, UnknownItem
from tests import spaces

from .conftest import HILL, SEA, item_ids

pytestmark = pytest.mark.django_db


def ids(shelf):
    return [entry.item.pk for entry in shelf.entries]


def noisy(colour, seed=0):
    picture = np.random.default_rng(seed).integers(0, 30, (20, 20, 3)) + np.array(colour)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture
def looks(monkeypatch):
    """Sea things are blue, hill things green; each number a little darker."""
    table = {name: (10, 40 + 2 * n, 200) for n, name in enumerate(item_ids(SEA))}
    table |= {name: (30, 180, 20 + 2 * n) for n, name in enumerate(item_ids(HILL))}
    image = spaces.space("image", table, spaces.IMAGE)
    spaces.install(monkeypatch, image, spaces.space("fused", table))
    return image


def test_a_photo_finds_what_looks_like_it(items, looks):
    shelf = alike.by_photo(noisy((0, 30, 180)), 5)
    assert (shelf.name, shelf.tier, shelf.run_id, len(shelf.entries)) == ("photo", "content", None, 5)
    assert all(item_id.startswith(SEA) for item_id in ids(shelf))
    scores = [entry.score for entry in shelf.entries]
    assert scores == sorted(scores, reverse=True) and [entry.position for entry in shelf.entries] == [1, 2, 3, 4, 5]
    assert ids(alike.by_photo(noisy((20, 170, 10)), 5))[0].startswith(HILL)


def test_only_what_can_be_bought_is_found(items, looks):
    first, second, *_ = ids(alike.by_photo(noisy((0, 30, 180)), 5))
    Item.objects.filter(pk=first).update(active=False)
    Item.objects.filter(pk=second).update(stock=0)
    again = ids(alike.by_photo(noisy((0, 30, 180)), 5))
    assert first not in again and second not in again and len(again) == 5


def test_a_sound_finds_what_sounds_like_it(items, monkeypatch):
    table = {"sea-00": (9, 1, 0, 0), "sea-01": (0, 0, 9, 1)}
    spaces.install(monkeypatch, spaces.space("audio", table, spaces.AUDIO))
    low, high = (np.sin(2 * np.pi * hertz * np.arange(8000) / 16_000).astype(np.float32) for hertz in (100, 2000))
    assert ids(alike.by_sound(low, 1)) == ["sea-00"] and ids(alike.by_sound(high, 1)) == ["sea-01"]
    with pytest.raises(Unreadable, match="silent"):
        alike.by_sound(np.zeros(8000, dtype=np.float32))


def test_a_picture_of_nothing_is_refused(items, looks):
    with pytest.raises(Unreadable, match="one colour"):
        alike.by_photo(np.full((9, 9, 3), 80, dtype=np.uint8))


@pytest.mark.parametrize("table", [None, {}, {"sea-00": (1, 0, 0)}])
def test_before_anything_is_encoded_nothing_can_be_searched(items, monkeypatch, table):
    """No space, an empty one, and one whose encoder is not to be had."""
    spaces.install(
        monkeypatch, *([] if table is None else [spaces.space("image", table), spaces.space("audio", table)])
    )
    with pytest.raises(NotPrepared, match="being prepared"):
        alike.by_photo(noisy((0, 0, 200)))
    with pytest.raises(NotPrepared, match="being prepared"):
        alike.by_sound(np.ones(100, dtype=np.float32))


def test_similar_by_behaviour_is_what_the_model_says(live, looks):
    shelf = alike.similar("sea-03", 5, by="behaviour")
    assert ids(shelf) == ids(serving.similar("sea-03", 5))
    assert (shelf.name, shelf.tier, shelf.run_id) == ("similar-behaviour", "similar", live.pk)
    assert all("liked by the same shoppers" in entry.reason.lower() for entry in shelf.entries)


def test_similar_by_content_is_the_nearest(live, looks):
    shelf = alike.similar("sea-03", 4, by="content")
    assert set(ids(shelf)) == {"sea-01", "sea-02", "sea-04", "sea-05"}  # as blue, by a shade or two
    assert (shelf.name, shelf.tier, shelf.run_id) == ("similar-content", "content", None)
    assert not any(entry.why.shoppers for entry in shelf.entries)


def test_both_puts_first_what_both_know(live, monkeypatch):
    """The content says sea-09 and hill-00 are like sea-00; shoppers say its neighbours are, sea-09 among them."""
    table = {"sea-00": (1, 0, 0), "sea-09": (1, 0.1, 0), "hill-00": (1, 0.2, 0), "hill-01": (0, 0, 1)}
    spaces.install(monkeypatch, spaces.space("fused", table))
    by_behaviour = ids(serving.similar("sea-00", 20))
    assert "sea-09" in by_behaviour
    shelf = alike.similar("sea-00", 20)
    assert (shelf.name, shelf.tier, shelf.run_id) == ("similar", "similar", live.pk)
    assert ids(shelf)[0] == "sea-09" and "hill-00" in ids(shelf) and set(by_behaviour) <= set(ids(shelf))
    assert "sea-00" not in ids(shelf)
    assert not {"sea-09", "hill-00"} & set(ids(alike.similar("sea-00", 20, exclude=["sea-09", "hill-00"])))


def test_a_new_item_is_similar_by_content(live, monkeypatch):
    Item.objects.create(id="new", title="New", category_id=HILL, price=1)
    table = {"new": (1, 0, 0), "sea-02": (1, 0.1, 0), "hill-02": (0, 1, 0)}
    spaces.install(monkeypatch, spaces.space("fused", table))
    for shelf in (alike.similar("new", 1), serving.similar("new", 1), alike.similar("new", 1, by="behaviour")):
        assert (ids(shelf), shelf.tier, shelf.run_id) == (["sea-02"], "content", None)


def test_of_an_item_of_which_nothing_is_known_the_category_serves(live, monkeypatch):
    spaces.install(monkeypatch)
    Item.objects.create(id="new", title="New", category_id=HILL, price=1)
    shelf = alike.similar("new", 5)
    assert shelf.tier == "popular" and all(item_id.startswith(HILL) for item_id in ids(shelf))


def test_vectors_that_fail_do_not_take_the_page_with_them(live, monkeypatch):
    def fail(modality):
        raise RuntimeError("of these vectors")

    monkeypatch.setattr(vectors, "space", fail)
    assert serving.content_neighbours("sea-00", 5) == ([], [])


def test_what_is_asked_for_is_checked(live):
    with pytest.raises(UnknownItem):
        alike.similar("gone")
    with pytest.raises(InvalidInput, match="both, content, behaviour"):
        alike.similar("sea-00", by="magic")
    with pytest.raises(InvalidInput):
        alike.similar("sea-00", 0)


# Reasons ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(items):
    """Twenty items, of which a few say more."""
    for item_id, title, text in (
        ("sea-00", "The keeper", "A lighthouse in a storm. Every word of it is salt, like the harbour of Oban."),
        ("sea-01", "Light", "The lighthouse and its harbour, near Oban."),
        ("sea-02", "Words", "Every word of it is common here."),
        ("sea-03", "Salt", "Of salt."),
    ):
        Item.objects.filter(pk=item_id).update(title=title, description=text)
    Item.objects.filter(pk__startswith="hill").update(description="Every word of it is common here.")
    return {item.pk: item for item in Item.objects.select_related("category")}


def test_shared_words_are_the_rare_ones(told):
    found = shared_words.between(told["sea-00"], [told[name] for name in ("sea-01", "sea-02", "sea-03", "hill-00")])
    assert sorted(found[0]) == ["Oban", "harbour", "lighthouse"]  # a name keeps its capital
    assert found[1:] == [(), ("salt",), ()]


def test_makers_and_categories_are_not_words(told):
    for name in ("sea-00", "sea-01"):
        told[name].creator = "Oban Lighthouse Press"
    assert shared_words.between(told["sea-00"], [told["sea-01"]]) == [("harbour",)]


def test_empty_words_are_not_named(told):
    for name in ("hill-00", "hill-01"):
        told[name].description = "Just a little whale."
    assert shared_words.between(told["hill-00"], [told["hill-01"]]) == [("whale",)]


def test_attributes_speak_too(items):
    for name in ("sea-00", "hill-00"):
        Item.objects.filter(pk=name).update(attributes={"subjects": ["whales", "ice"], "n": 3, "deep": {"a": "whales"}})
    found = {item.pk: item for item in Item.objects.all()}
    assert shared_words.between(found["sea-00"], [found["hill-00"], found["hill-01"]]) == [("whales",), ()]


def test_reasons_in_words(told, monkeypatch):
    Item.objects.filter(pk__in=["sea-00", "hill-05"]).update(creator="A. Marsh")
    fused = {"sea-00": (1, 0, 0), "sea-01": (1, 0.1, 0), "sea-04": (1, 0.2, 0), "hill-05": (1, 0.3, 0)}
    image = {name: (0, 1, n / 50) for n, name in enumerate([*item_ids(HILL), *item_ids(SEA)])}
    image |= {"sea-00": (1, 0, 0), "hill-05": (1, 0.01, 0)}
    spaces.install(monkeypatch, spaces.space("fused", fused), spaces.space("image", image))
    shelf = alike.similar("sea-00", 5)
    reasons = {entry.item.pk: entry.reason for entry in shelf.entries}
    assert reasons["sea-01"] == "Both speak of harbour, lighthouse and Oban"
    assert reasons["hill-05"] == "Also by A. Marsh; looks alike"
    assert reasons["sea-04"] == "Also in Sea"
    why = {entry.item.pk: entry.why for entry in shelf.entries}
    assert why["hill-05"].image == pytest.approx(1, abs=0.001) and why["hill-05"].alike == {"image"}
    assert why["sea-01"].image == pytest.approx(0, abs=0.5) and why["sea-01"].audio is None


def test_what_has_no_vector_is_not_alike(told, monkeypatch):
    fused = {"sea-00": (1, 0, 0), "sea-01": (1, 0.1, 0)}
    spaces.install(
        monkeypatch, spaces.space("fused", fused), spaces.space("image", {"sea-00": (1, 0, 0), "x": (1, 0, 0)})
    )
    [entry] = alike.similar("sea-00", 5).entries
    assert entry.why.image is None and not entry.why.alike


def test_of_a_large_space_a_sample_is_looked_at():
    table = {f"i{n}": (1, n, 0) for n in range(5000)}
    sample = spaces.space("fused", table).sample(512)
    assert 500 <= len(sample) <= 560 and sample[0] == "i0" and sample[-1] > "i48"
