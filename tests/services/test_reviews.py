"""Stars and words; each review is a rating that is learned from."""

import pytest

from recommender.models import Event, Review
from recommender.services import catalogue, reviews
from recommender.services.errors import InvalidInput

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_review_is_shown_and_recorded(items, account):
    review = reviews.write(account, items["sea-00"], 4, " Fine ", " Good paper. ", " Ada ")
    assert (review.title, review.body, review.author_name) == ("Fine", "Good paper.", "Ada")
    assert list(reviews.shown(items["sea-00"])) == [review] and list(reviews.written(account.pk)) == [review]
    assert list(Event.objects.values_list("kind", "item_id", "value")) == [("rating", "sea-00", 4)]


def test_writing_again_replaces(items, account):
    reviews.write(account, items["sea-00"], 4)
    reviews.write(account, items["sea-00"], 1, body="It faded.")
    review = Review.objects.get()
    assert (review.stars, review.body) == (1, "It faded.")
    assert list(Event.objects.order_by("id").values_list("value", flat=True)) == [4, 1]


@pytest.mark.parametrize("stars", [0, 6, -1, None, "many", 10**30])
def test_stars_are_one_to_five(items, account, stars):
    with pytest.raises(InvalidInput):
        reviews.write(account, items["sea-00"], stars)
    assert not Review.objects.exists() and not Event.objects.exists()


@pytest.mark.parametrize(("field", "limit"), [("title", 120), ("body", 5000), ("author_name", 80)])
def test_texts_have_a_limit(items, account, field, limit):
    with pytest.raises(InvalidInput):
        reviews.write(account, items["sea-00"], 3, **{field: "x" * (limit + 1)})
    reviews.write(account, items["sea-00"], 3, **{field: "x" * limit})


def test_a_hidden_review_is_shown_to_its_writer_only(items, account):
    reviews.write(account, items["sea-00"], 4)
    Review.objects.update(hidden=True)
    assert not reviews.shown(items["sea-00"]).exists()
    assert reviews.written(account.pk).count() == 1
    assert catalogue.rating("sea-00")["count"] == 0 and catalogue.mean_ratings(["sea-00"]) == {}


def test_taking_a_review_back_leaves_the_rating_event(items, account):
    reviews.write(account, items["sea-00"], 4)
    assert reviews.remove(account, items["sea-00"])
    assert not reviews.remove(account, items["sea-00"])
    assert not Review.objects.exists() and Event.objects.filter(kind="rating").count() == 1


def test_the_mean_and_the_shares_of_the_stars(items, account, guest):
    reviews.write(account, items["sea-00"], 5)
    reviews.write(guest, items["sea-00"], 2)
    found = catalogue.rating("sea-00")
    assert (found["count"], found["mean"]) == (2, 3.5)
    assert found["shares"] == {5: 0.5, 4: 0, 3: 0, 2: 0.5, 1: 0}
    assert catalogue.mean_ratings(["sea-00", "sea-01"]) == {"sea-00": (3.5, 2)}
    assert catalogue.rating("sea-01")["mean"] is None
