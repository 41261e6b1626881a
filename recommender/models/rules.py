"""What staff decide about lists, whatever was learned."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Rule(models.Model):
    """One rule of the business: what it is about, what happens to it, where and when."""

    class Action(models.TextChoices):
        PIN = "pin", "pin: stands at a place of the list"
        BOOST = "boost", "boost: counts more"
        BURY = "bury", "bury: counts less"
        EXCLUDE = "exclude", "exclude: is not shown"
        LIMIT = "limit", "limit: at most so many of a list"

    name = models.CharField(max_length=80, unique=True)
    action = models.CharField(max_length=7, choices=Action)
    condition = models.TextField(max_length=2000, help_text='Such as: category = "prints" and price < 20')
    amount = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Boost, bury: factor of the score. Limit: items of a list.",
    )
    position = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(100)], help_text="Pin: from 1."
    )
    shelf = models.CharField(max_length=32, blank=True, help_text="Only this shelf, such as for-you; empty for all.")
    priority = models.SmallIntegerField(default=0, help_text="Rules of higher priority come first.")
    enabled = models.BooleanField(default=False)
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-priority", "id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(starts_at__isnull=True)
                | models.Q(ends_at__isnull=True)
                | models.Q(starts_at__lt=models.F("ends_at")),
                name="rule_starts_before_it_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.name
