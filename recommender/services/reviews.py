"""Stars and words that shoppers give. A review is a rating event too, so it is learned from."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from recommender.models import Event, Item, Review, Visitor
from recommender.services import events
from recommender.services.errors import InvalidInput

MAX_BODY = Review._meta.get_field("body").max_length or 5000  # characters


@transaction.atomic
def write(
    visitor: Visitor, item: Item, stars: int, title: str = "", body: str = "", author_name: str = "", held: str = ""
) -> Review:
    """Write or replace a visitor's review of an item; one that is held is not shown yet. Raises InvalidInput."""
    Visitor.objects.select_for_update().get(pk=visitor.pk)  # a form sent twice changes the one review
    review = Review.objects.filter(visitor=visitor, item=item).first() or Review(visitor=visitor, item=item)
    before = (review.title, review.body)
    review.stars, review.title, review.body, review.author_name = (
        stars,
        title.strip(),
        body.strip(),
        author_name.strip(),
    )
    if len(review.body) > MAX_BODY:  # which Django leaves to forms
        raise InvalidInput(f"A review has at most {MAX_BODY:,} characters.")
    try:
        review.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise InvalidInput("; ".join(error.messages)) from error
    if before != (review.title, review.body):  # what was found of other words says nothing of these
        review.sentiment, review.sentiment_at, review.points = None, None, []
    review.held = review.held or held  # changing it does not let it go
    review.save()
    events.record(visitor, item, Event.Kind.RATING, value=stars, flag=review.held)
    return review


def shown(item: Item) -> QuerySet[Review]:
    """What everybody may read about an item, the latest first."""
    return Review.objects.filter(item=item, hidden=False, held="")


def written(visitor_id: str) -> QuerySet[Review]:
    """A visitor's own reviews, those that are hidden or held too."""
    return Review.objects.filter(visitor_id=visitor_id).select_related("item")


def set_hidden(reviews: QuerySet[Review], hidden: bool) -> int:
    """Hide reviews from the shop, or show them again; returns how many."""
    return reviews.update(hidden=hidden)


@transaction.atomic
def release(reviews: QuerySet[Review]) -> int:
    """Show reviews that were held, and let their ratings count as any others; returns how many."""
    chosen = list(reviews.exclude(held="").values_list("pk", "visitor_id", "item_id"))
    for _, visitor_id, item_id in chosen:
        rating = Event.objects.filter(visitor_id=visitor_id, item_id=item_id, kind=Event.Kind.RATING)
        rating.exclude(flag="").update(flag="")
    return Review.objects.filter(pk__in=[pk for pk, *_ in chosen]).update(held="")


def remove(visitor: Visitor, item: Item) -> bool:
    """Take the visitor's own review back. The rating event stays, as events do."""
    return bool(Review.objects.filter(visitor=visitor, item=item).delete()[0])
