"""What visitors want of their recommendations, as they said themselves."""

from django.db import models

from recommender.models.people import Visitor


class Control(models.Model):
    """One visitor's wishes; without a row, the defaults."""

    visitor = models.OneToOneField(Visitor, primary_key=True, on_delete=models.CASCADE, related_name="control")
    personalised = models.BooleanField(default=True, help_text="Off: nothing this visitor did shapes what is shown.")
    private_since = models.DateTimeField(null=True, blank=True, help_text="Since when nothing is recorded.")
    reset_at = models.DateTimeField(null=True, blank=True, help_text="What was done before says nothing any more.")
    topics = models.JSONField(
        default=dict, blank=True, help_text='"category:slug" or "creator:name" to -1 (none) ... 1 (more).'
    )
    ignored = models.JSONField(default=list, blank=True, help_text="Items whose events say nothing any more.")
    undo = models.JSONField(default=list, blank=True, help_text="Earlier states, the latest last.")
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"wishes of {self.visitor_id}"
