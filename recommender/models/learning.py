"""Training runs and which of them is live."""

from django.conf import settings
from django.db import models


class Run(models.Model):
    """One training, from the moment it is asked for. The row is the truth about it; the broker only wakes a worker."""

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        REFUSED = "refused", "refused by the gate"
        FAILED = "failed"
        CANCELLED = "cancelled"

    ACTIVE = (Status.QUEUED, Status.RUNNING)
    MAX_REQUESTED_BY, MAX_REASON, MAX_MESSAGE = 150, 200, 300  # characters

    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    trainer = models.CharField(max_length=32)
    config = models.JSONField(default=dict, blank=True, help_text="What shapes the result.")
    options = models.JSONField(default=dict, blank=True, help_text="How it runs: seed, threads.")
    requested_by = models.CharField(max_length=MAX_REQUESTED_BY, blank=True)
    reason = models.CharField(max_length=MAX_REASON, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    enqueued_at = models.DateTimeField(null=True, blank=True, help_text="When the broker last took the wake-up call.")
    worker = models.CharField(max_length=120, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)

    stage = models.CharField(max_length=32, blank=True)
    share_done = models.FloatField(default=0, help_text="0 to 1, over all stages.")
    message = models.CharField(max_length=MAX_MESSAGE, blank=True)
    stages = models.JSONField(default=list, blank=True, help_text="Seconds and peak memory of each finished stage.")
    error = models.TextField(blank=True)

    counts = models.JSONField(default=dict, blank=True, help_text="Events, users and items it learned from.")
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

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE


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
