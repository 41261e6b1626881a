"""Training runs and which of them is live."""

from django.conf import settings
from django.db import models

from recommender.models.jobs import Job


class Run(Job):
    """One training."""

    trainer = models.CharField(max_length=32)
    config = models.JSONField(default=dict, blank=True, help_text="What shapes the result.")
    options = models.JSONField(default=dict, blank=True, help_text="How it runs: seed, threads.")

    counts = models.JSONField(default=dict, blank=True, help_text="Events, users and items it learned from.")
    screening = models.JSONField(default=dict, blank=True, help_text="What was left out or counted less, and why.")
    metrics = models.JSONField(default=dict, blank=True)
    gate = models.JSONField(default=dict, blank=True)
    artifact = models.CharField(max_length=300, blank=True, help_text="Folder under RECOMMENDER['artifacts_dir'].")

    class Meta:
        ordering = ["-id"]
        constraints = [
            # One active run at a time, held by the database itself: every active row has the same indexed value.
            models.UniqueConstraint(
                models.Case(models.When(status__in=["queued", "running"], then=models.Value(1))),
                name="one_active_run",
            ),
        ]
        indexes = [models.Index(fields=["status"], name="run_status")]

    def __str__(self) -> str:
        return f"run {self.pk} ({self.trainer})"


class Publication(models.Model):
    """The live pointer and its history in one: the newest row names the run that serves."""

    class Action(models.TextChoices):
        PUBLISH = "publish"
        ROLL_BACK = "roll_back", "roll back"
        WITHDRAW = "withdraw", "withdraw (serve popular items)"

    run = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="publications")
    previous = models.ForeignKey(Run, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=10, choices=Action)
    reason = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        get_latest_by = "id"

    def __str__(self) -> str:
        return f"{self.action} {self.run}"
