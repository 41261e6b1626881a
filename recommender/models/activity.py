"""What visitors did: the events that everything is learned from, and the reviews they wrote."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from recommender.models.catalogue import Item
from recommender.models.learning import Run
from recommender.models.people import Visitor


class Event(models.Model):
    """One thing one visitor did with one item. Append-only; `event_id` makes recording idempotent."""

    class Kind(models.TextChoices):
        IMPRESSION = "impression"
        VIEW = "view"
        CLICK = "click"
        LIKE = "like"
        DISLIKE = "dislike"
        CART = "cart"
        PURCHASE = "purchase"
        RATING = "rating"

    event_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    visitor = models.ForeignKey(Visitor, on_delete=models.CASCADE, related_name="events", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="events", db_index=False)
    value = models.FloatField(null=True, blank=True, help_text="Stars of a rating (1 to 5), quantity of a purchase.")
    occurred_at = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(default=timezone.now)
    session = models.CharField(max_length=64, blank=True, help_text="Visit, basket or invoice that it belongs to.")
    rec_id = models.UUIDField(null=True, blank=True, help_text="The recommendation that the visitor answered.")
    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    shelf = models.CharField(max_length=32, blank=True)
    position = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Place on the shelf, from 1.")
    flag = models.CharField(max_length=16, blank=True, default="", help_text="The rule that it broke as it came.")

    class Meta:
        indexes = [
            models.Index(fields=["visitor", "-occurred_at"], name="event_visitor_latest"),
            models.Index(fields=["item", "kind"], name="event_item_kind"),
            models.Index(fields=["occurred_at"], name="event_occurred"),
            models.Index(fields=["run", "kind"], name="event_run_kind", condition=models.Q(run__isnull=False)),
            models.Index(fields=["rec_id"], name="event_rec", condition=models.Q(rec_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.visitor_id} {self.kind} {self.item_id}"


class Review(models.Model):
    """A visitor's stars and words about an item, one each."""

    visitor = models.ForeignKey(Visitor, on_delete=models.CASCADE, related_name="reviews")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="reviews")
    stars = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(5)])
    title = models.CharField(max_length=120, blank=True)
    body = models.TextField(max_length=5000, blank=True)
    author_name = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    hidden = models.BooleanField(default=False, help_text="Hidden by staff; kept, not deleted.")
    held = models.CharField(max_length=16, blank=True, default="", help_text="The rule that it broke; not shown yet.")
    # Computed in a worker, see services/opinions; emptied whenever the words change.
    sentiment = models.FloatField(null=True, blank=True, help_text="How surely its words praise: 0 to 1.")
    sentiment_at = models.DateTimeField(null=True, blank=True, help_text="When its words were judged.")
    points = models.JSONField(default=list, blank=True, help_text="Its sentences that speak of something.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["visitor", "item"], name="one_review_per_visitor_and_item"),
            models.CheckConstraint(condition=models.Q(stars__range=(1, 5)), name="review_stars_1_to_5"),
        ]
        indexes = [
            models.Index(fields=["item", "-created_at"], name="review_item_latest"),
            models.Index(fields=["sentiment_at"], name="review_judged"),
        ]

    def __str__(self) -> str:
        return f"{self.stars} stars for {self.item_id}"
