"""Groups of items and shoppers: kept with the run, used by its answers."""

import numpy as np
import pytest
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.data.interactions import Histories
from recommender.engine.model import write_model
from recommender.engine.trainers import Options, make_config, trainer
from recommender.models import Event, Run, Visitor
from recommender.services import clusters, event_log, publishing, serving
from recommender.services.content import encoding
from recommender.services.serving import personal
from tests.services.conftest import HILL, SEA, carried_out, item_ids

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def planted() -> np.ndarray:
    """(20, 4): what belongs to the sea lies on one side, what belongs to the hills on the other; ids in their order."""
    vectors = np.random.default_rng(0).normal(0, 0.2, (20, 4)).astype(np.float32)
    vectors[:10, 0] += 1  # hill-00 to hill-09
    vectors[10:, 1] += 1
    return vectors


@pytest.fixture
def groups(shop):
    """The shop with a live model whose vectors are planted, and the groups that were found in them."""
    data = event_log.interactions(event_log.read())
    config = make_config("als", {"factors": 4})
    learned = {**trainer("als").fit(data, config, Options()), "item_vectors": planted()}
    arrays, facts = clusters.learn(data, planted())
    write_model(conf().artifacts_dir, "grouped", "als", config, learned, data, manifest=facts, further=arrays)
    run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED, artifact="grouped")
    publishing.publish(run.pk, "for the tests")
    found = clusters.of(serving.live().model)
    assert found is not None
    return found


def rows(*ids):
    return serving.live().model.items.rows(ids)


def test_a_run_keeps_groups(shop, no_heart):
    carried_out()
    found = clusters.of(serving.live().model)
    assert found is not None and found.by == "behaviour" and len(found.labels) == 20
    assert np.isfinite(found.points).all() and np.ptp(found.points) > 0


def test_groups_have_names_and_members(groups):
    assert groups.by == "behaviour" and len(groups.names) == len(set(groups.names)) >= 2
    assert groups.labels.shape == groups.dense.shape == (20,) and groups.points.shape == (20, 2)
    assert np.isfinite(groups.points).all()
    sea, hill = (set(groups.labels[rows(*item_ids(group))].tolist()) for group in (SEA, HILL))
    assert not sea & hill, "no group holds both what sailors and what climbers buy"
    assert sum(groups.segment_sizes) == 60 and len(groups.segment_names) == len(groups.segments)


def test_a_shopper_belongs_to_those_who_like_the_same(groups):
    told = {group: Histories.single(rows(*item_ids(group)[:3])) for group in (SEA, HILL)}
    sea, hill = (groups.segment(told[group]) for group in (SEA, HILL))
    assert sea != hill
    favourites = np.asarray(groups.favourites[sea])
    takers = np.asarray(groups.takers[sea])
    assert (np.diff(takers) <= 0).all() and ((favourites == -1) == (takers == 0)).all()
    assert set(favourites[favourites >= 0].tolist()) <= set(rows(*item_ids(SEA)).tolist())


def test_who_likes_nothing_belongs_nowhere(groups):
    assert groups.segment(Histories.single([])) is None
    assert groups.segment(Histories.single([0, 1], weights=[-1.0, -2.0])) is None


def test_where_the_model_fails_shoppers_alike_are_asked(groups, monkeypatch, items):
    """Popular in the visitor's group, without what they know already."""

    def broken(*args, **kwargs):
        raise RuntimeError("planted")

    monkeypatch.setattr(personal, "_by_model", broken)
    shelf = serving.recommend("sea-fan-0", 5)
    assert (shelf.tier, shelf.name, shelf.title) == ("segment", "segment", serving.SEGMENT_TITLE)
    assert shelf.run_id == serving.live().run_id and len(shelf.entries) == 5
    found = [entry.item.pk for entry in shelf.entries]
    known = set(Event.objects.filter(visitor="sea-fan-0").values_list("item_id", flat=True))
    assert all(pk.startswith(SEA) for pk in found) and not known & set(found)
    guest = Visitor.objects.create(id="guest:none")
    assert serving.recommend(guest.pk, 5).tier == "popular", "of whom nothing is known, nothing is said"
    hidden = found[0]
    items[hidden].active = False
    items[hidden].save()
    assert hidden not in [entry.item.pk for entry in serving.recommend("sea-fan-0", 5).entries]


def test_groups_that_cannot_be_read_cost_a_shelf_nothing(groups, monkeypatch):
    monkeypatch.setattr(personal, "_by_model", lambda *args: (None, {}))
    monkeypatch.setattr(clusters.Groups, "segment", lambda *args: 1 / 0)
    assert serving.recommend("sea-fan-0", 5).tier == "popular"


def test_a_run_whose_grouping_fails_is_a_run(shop, no_heart, monkeypatch, caplog):
    monkeypatch.setattr(clusters, "_described", lambda items: 1 / 0)
    run = carried_out()
    assert run.status == "succeeded" and clusters.of(serving.live().model) is None
    assert "could not be grouped" in caplog.text
    assert serving.recommend("sea-fan-0", 5).tier == "model"


def test_without_item_vectors_content_tells(shop, no_heart):
    data = event_log.interactions(event_log.read())
    assert clusters.learn(data, None) == ({}, {}), "nothing was encoded either"
    encoding.run(encoding.request().pk)
    arrays, facts = clusters.learn(data, None)
    assert facts["groups"]["by"] == "content" and arrays["groups/vectors"].shape[0] == 20


def test_the_same_data_give_the_same_groups(shop):
    data = event_log.interactions(event_log.read())
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    first, second = clusters.learn(data, vectors), clusters.learn(data, vectors)
    assert first[1] == second[1]
    for key, array in first[0].items():
        np.testing.assert_array_equal(array, second[0][key])


def test_fewer_than_a_handful_make_no_groups(items):
    visitor = Visitor.objects.create(id="one", kind="external")
    for item_id in item_ids(SEA)[:3]:
        Event.objects.create(visitor=visitor, item=items[item_id], kind="purchase", occurred_at=timezone.now())
    data = event_log.interactions(event_log.read())
    assert clusters.learn(data, np.eye(3, dtype=np.float32)) == ({}, {})
