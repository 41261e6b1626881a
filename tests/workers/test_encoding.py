"""A real worker encodes what was saved a moment ago; and what it leaves when it is killed."""

import numpy as np
import pytest

from recommender import tasks
from recommender.models import Encoding, Item, ItemVector
from recommender.services.content import encoding, vectors
from tests.workers.conftest import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

MANY = 700  # items: three batches
LONG = 4_000  # characters of each, so that a batch takes a while


def test_a_saved_item_is_encoded_and_a_killed_worker_leaves_what_it_has_encoded(shop, start_worker, settings):
    worker = start_worker()
    tasks.sweep()
    eventually(lambda: Encoding.objects.filter(status="succeeded").exists(), 30, worker.log.read_text)
    Item.objects.create(id="new", title="A lighthouse")
    tasks.sweep()
    eventually(lambda: Encoding.objects.filter(status="succeeded").count() == 2, 30, worker.log.read_text)
    space = vectors.space("text")
    assert space is not None and len(space) == 21
    assert space.nearest(space.encode(["lighthouse"])[0], 1)[0] == ["new"]

    letters = np.array(list("abcdefghijklmnopqrstuvwxyz "))
    random = np.random.default_rng(1)
    Item.objects.bulk_create(
        Item(id=f"long-{row:03d}", title="Long", description="".join(random.choice(letters, LONG)))
        for row in range(MANY)
    )
    tasks.sweep()
    eventually(lambda: ItemVector.objects.count() > 100, 30, worker.log.read_text)
    worker.kill()
    row = Encoding.objects.latest("id")
    left = ItemVector.objects.count()
    assert row.status == "running" and left < 21 + MANY
    kept = dict(ItemVector.objects.filter(item__id__startswith="long-").values_list("item_id", "encoded_at"))
    settings.RECOMMENDER = {**settings.RECOMMENDER, "lost_after_s": 0}
    assert encoding.recover() == [row.pk]
    again = encoding.run(row.pk)
    assert again is not None and (again.status, again.tries) == ("succeeded", 2)
    after = dict(ItemVector.objects.filter(item__id__startswith="long-").values_list("item_id", "encoded_at"))
    assert len(after) == MANY and all(after[item_id] == at for item_id, at in kept.items())
    assert again.counts["text"]["encoded"] == MANY
