"""What reviews say: learned from stars, stored on each review, read by pages."""

import itertools
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from recommender.conf import conf
from recommender.engine.errors import Cancelled
from recommender.models import Item, Review, Visitor
from recommender.services import opinions, reviews
from recommender.services.content import encoding, vectors

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GOOD = ["The paper is lovely.", "Its colours are superb.", "I like the paper.", "The colours glow, a delight."]
BAD = ["The paper is dreadful.", "Its colours are dull.", "I hate the paper.", "The colours faded, a pity."]
MANY = 200
numbers = itertools.count()


def review(item: Item, stars: int, body: str, days: int = 0, **values: Any) -> Review:
    visitor = Visitor.objects.create(id=f"reviewer-{next(numbers)}", kind="external")
    at = timezone.now() - timedelta(days=days)
    return Review.objects.create(visitor=visitor, item=item, stars=stars, body=body, created_at=at, **values)


@pytest.fixture
def told(items: dict[str, Item]) -> list[Review]:
    """Many reviews over the shop whose stars and words agree."""
    shelf = list(items.values())
    now = timezone.now()
    visitors = Visitor.objects.bulk_create(Visitor(id=f"many-{n}", kind="external") for n in range(MANY))
    return Review.objects.bulk_create(
        Review(
            visitor=visitor,
            item=shelf[n % len(shelf)],
            stars=5 if n % 2 else 1,
            body=f"{(GOOD if n % 2 else BAD)[n // 2 % 4]} Number {n} here.",
            created_at=now - timedelta(days=n),
        )
        for n, visitor in enumerate(visitors)
    )


def test_nothing_is_learned_from_few_reviews(items):
    review(items["sea-00"], 5, "Lovely.")
    assert opinions.learn() is None and opinions.judge_new() == 0
    assert opinions.described() == {}
    assert Review.objects.get().sentiment is None


def test_words_are_learned_from_stars_and_stored(told, items):
    praised = review(items["sea-01"], 3, "The paper is lovely. Its colours are superb.")
    faulted = review(items["sea-01"], 3, "The paper is dreadful. Its colours are dull.")
    name = opinions.learn()
    assert name == "opinions-000001" and (conf().artifacts_dir / name).is_dir()
    assert opinions.judge_new() == MANY + 2
    praised.refresh_from_db(), faulted.refresh_from_db()
    assert praised.sentiment > 0.8 and faulted.sentiment < 0.2
    assert [(point["about"], point["words"]) for point in praised.points] == [
        ("paper", "The paper is lovely."),
        ("colours", "Its colours are superb."),
    ]
    assert all(point["praise"] > 0.8 for point in praised.points)
    assert not Review.objects.filter(sentiment=None).exists()
    said = opinions.described()
    assert said["reviews"] == MANY + 2 and said["metrics"]["accuracy"] == 1.0 and said["encoder"] == ""
    assert opinions.judge_new() == 0, "nothing is read twice"


def test_learning_is_done_again_when_there_is_more_to_learn(told, items):
    assert opinions.learn() and opinions.learn() is None
    for n in range(41):
        review(items["hill-00"], 5, f"The paper is fine, {n}.")
    assert opinions.learn() == "opinions-000002"
    assert opinions.learn(always=True) == "opinions-000003"
    assert sorted(path.name for path in conf().artifacts_dir.glob("opinions-*")) == [
        "opinions-000002",
        "opinions-000003",
    ]
    assert opinions.judge_new() == MANY + 41
    opinions.learn(always=True)
    assert opinions.judge_new() == MANY + 41, "what was learned anew is asked about all"


def test_texts_are_encoded_where_the_shop_encodes_them(told, no_heart):
    assert opinions.learn()
    encoding.run(encoding.request().pk)
    assert opinions.judge_new() == 0, "what was learned without vectors says nothing of them"
    assert opinions.learn() == "opinions-000002"
    assert opinions.described()["encoder"] == vectors.space("text").encoder_name != ""
    assert opinions.judge_new() == MANY


def test_a_damaged_artifact_is_passed_over(told):
    first = opinions.learn()
    second = opinions.learn(always=True)
    (conf().artifacts_dir / second / "fold0" / "joined.npy").write_bytes(b"nonsense")
    assert opinions.described()["reviews"] == MANY
    assert opinions._live().path.name == first


def test_hidden_reviews_teach_nothing(told, items):
    Review.objects.filter(stars=1).update(hidden=True)
    assert opinions.learn() is None


def test_progress_can_cancel(told, no_heart):
    encoding.run(encoding.request().pk)

    def stop(share: float, message: str) -> None:
        raise Cancelled()

    with pytest.raises(Cancelled):
        opinions.learn(stop)
    assert opinions.learn()
    with pytest.raises(Cancelled):
        opinions.judge_new(stop)


def test_other_words_are_judged_anew_other_stars_are_not(told, items, account):
    mine = reviews.write(account, items["sea-00"], 5, body="The paper is lovely.")
    opinions.learn()
    opinions.judge_new()
    mine.refresh_from_db()
    assert mine.sentiment > 0.5 and mine.points
    reviews.write(account, items["sea-00"], 1, body="The paper is lovely.")
    mine.refresh_from_db()
    assert mine.sentiment > 0.5 and mine.stars == 1
    reviews.write(account, items["sea-00"], 1, body="The paper is dreadful.")
    mine.refresh_from_db()
    assert (mine.sentiment, mine.sentiment_at, mine.points) == (None, None, [])
    assert opinions.judge_new() == 1
    mine.refresh_from_db()
    assert mine.sentiment < 0.5


def test_words_that_contradict_the_stars_are_found(told, items):
    liar = review(items["sea-02"], 1, "The paper is lovely. Its colours are superb.")
    other = review(items["sea-02"], 5, "The paper is dreadful. Its colours are dull.")
    opinions.learn()
    opinions.judge_new()
    assert set(Review.objects.filter(opinions.disagreeing())) == {liar, other}


def test_an_item_s_opinion(told, items):
    item = items["hill-05"]
    Review.objects.filter(item=item).delete()
    bodies = [
        (5, "The paper is lovely."),
        (5, "I like the paper."),
        (4, "Its colours are superb."),
        (1, "The paper is dreadful."),
    ]
    made = [review(item, stars, body, days) for days, (stars, body) in enumerate(bodies)]
    review(item, 1, "The colours faded, a pity.", hidden=True)
    review(item, 5, "")
    opinions.learn()
    opinions.judge_new()
    said = opinions.of(item)
    assert (said.count, said.praise, said.mixed, said.blame, said.enough) == (4, 3, 0, 1, True)
    assert [(point.about, point.reviews) for point in said.pros] == [("paper", 2), ("colours", 1)]
    (con,) = said.cons
    assert (con.about, con.words, con.review_id) == ("paper", "The paper is dreadful.", made[3].pk)
    shown = list(reviews.shown(item))
    assert all(shown[point.place].pk == point.review_id for point in [*said.pros, con])


def test_before_anything_is_learned_stars_speak(items):
    for stars in (5, 4, 3, 1):
        review(items["sea-00"], stars, "Words.")
    said = opinions.of(items["sea-00"])
    assert (said.praise, said.mixed, said.blame, said.pros, said.cons) == (2, 1, 1, [], [])
    assert not opinions.of(items["sea-01"]).enough


def test_what_an_item_is_called_is_no_part_of_it(told, items):
    item = items["sea-03"]
    Item.objects.filter(pk=item.pk).update(title="Paper boats")
    item.refresh_from_db()
    opinions.learn()
    opinions.judge_new()
    said = opinions.of(item)
    assert "paper" not in {point.about for point in [*said.pros, *said.cons]}


def test_stars_are_heard_beside_a_sentence():
    assert opinions._heard(0.75, 3) == pytest.approx(0.75)
    assert opinions._heard(0.75, 1) < opinions.PRAISE < opinions._heard(0.65, 5)
    assert np.isfinite([opinions._heard(value, stars) for value in (0, 1) for stars in (1, 5)]).all()
