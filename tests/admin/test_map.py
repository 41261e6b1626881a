"""The map of the items, and the filter of reviews whose words contradict their stars."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.test import Client

from recommender.admin import map as map_page
from recommender.conf import conf
from recommender.engine.model import write_model
from recommender.engine.trainers import Options, make_config, trainer
from recommender.models import Item, Review, Run, Visitor
from recommender.services import clusters, publishing
from tests.worlds import two_groups

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ITEMS = 30
PAGE = "/admin/recommender/run/map/"


@pytest.fixture
def mapped(db: None) -> Run:
    """A live run of thirty items in two groups, one of which is not in the shop any more."""
    data = two_groups(80, ITEMS)
    names = [f"{('Sea', 'Hill')[k % 2]} <{k}>" for k in range(ITEMS)]
    Item.objects.bulk_create(
        Item(id=item_id, title=name) for item_id, name in list(zip(data.items.all, names, strict=True))[1:]
    )
    vectors = np.random.default_rng(0).normal(0, 0.1, (ITEMS, 4)).astype(np.float32)
    vectors[np.arange(ITEMS), np.arange(ITEMS) % 2] += 1
    config = make_config("als", {"factors": 4})
    learned = {**trainer("als").fit(data, config, Options()), "item_vectors": vectors}
    arrays, facts = clusters.learn(data, vectors)
    write_model(conf().artifacts_dir, "mapped", "als", config, learned, data, manifest=facts, further=arrays)
    run = Run.objects.create(trainer="als", status=Run.Status.SUCCEEDED, artifact="mapped")
    publishing.publish(run.pk, "for the tests")
    return run


def drawn(html: str) -> dict[str, Any]:
    found = re.search(r'<script id="map-data" type="application/json">(.*?)</script>', html)
    assert found is not None
    return json.loads(found.group(1))


def test_the_map_has_every_item_with_its_place_and_group(console: Client, mapped: Run) -> None:
    html = console.get(PAGE).content.decode()
    data = drawn(html)
    assert len(data["ids"]) == ITEMS - 1 == len(data["x"]) == len(data["y"]) == len(data["labels"]["items"])
    assert "i00000" not in data["ids"], "it is not in the shop any more"
    place = data["ids"].index("i00003")
    assert data["titles"][place] == "Hill <3>" and "<3>" not in html
    assert data["url"].replace("{}", "i00003") == "/admin/recommender/item/i00003/change/"
    sides = {}
    for title, label in zip(data["titles"], data["labels"]["items"], strict=True):
        sides.setdefault(title.split()[0], set()).add(label)
    assert not sides["Sea"] & sides["Hill"]
    assert f"run {mapped.pk}" in html and "Shoppers, by what they take" in html
    assert '<th scope="row">Hill' in html or '<th scope="row">Sea' in html
    assert "recommender/admin/map.js" in html


def test_of_many_items_a_part_is_drawn(console: Client, mapped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_page, "MOST_POINTS", 10)
    html = console.get(PAGE).content.decode()
    data = drawn(html)
    assert 8 <= len(data["ids"]) <= 10 and len(set(data["labels"]["items"])) > 1
    assert f"of {ITEMS} items are drawn" in html


def test_without_a_map_the_page_says_why(console: Client, finished: Callable[..., Run]) -> None:
    assert "No run is live" in console.get(PAGE).content.decode()
    run = finished()
    publishing.publish(run.pk, "for the tests")
    html = console.get(PAGE).content.decode()
    assert f"Run {run.pk} keeps no map" in html and "map.js" not in html


def test_who_may_not_see_runs_sees_no_map(staff: Callable[..., Client], client: Client) -> None:
    assert staff("view_item").get(PAGE).status_code == 403
    assert client.get(PAGE).status_code == 302


def test_the_list_of_runs_leads_to_it(console: Client) -> None:
    assert f'href="{PAGE}"' in console.get("/admin/recommender/run/").content.decode()


def test_reviews_whose_words_contradict_their_stars_can_be_found(console: Client, shop: list[Item]) -> None:
    for stars, sentiment in ((5, 0.03), (1, 0.98), (5, 0.97), (3, 0.5), (4, None)):
        visitor = Visitor.objects.create(id=f"v-{stars}-{sentiment}", kind="external")
        title = f"Stars {stars} words {sentiment}"
        Review.objects.create(visitor=visitor, item=shop[1], stars=stars, title=title, sentiment=sentiment)
    every = console.get("/admin/recommender/review/").content.decode()
    assert "Words are read once there are enough reviews" in every
    assert "98%" in every and "Stars and words disagree" in every
    found = console.get("/admin/recommender/review/?words=disagree").content.decode()
    assert len(set(re.findall(r"Stars \d words [\w.]+", found))) == 2
    assert "Stars 5 words 0.03" in found and "Stars 1 words 0.98" in found
    waiting = console.get("/admin/recommender/review/?words=waiting").content.decode()
    assert "Stars 4 words None" in waiting and "Stars 3" not in waiting
    review = Review.objects.get(title="Stars 1 words 0.98")
    assert console.get(f"/admin/recommender/review/{review.pk}/change/").status_code == 200
