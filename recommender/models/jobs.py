"""What every long piece of work has: a row that is the truth about it, from the moment it is asked for."""

from django.db import models


class Job(models.Model):
    """Asked for, claimed by a worker, ended. The broker only wakes a worker."""

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

    class Meta:
        abstract = True

    @property
    def is_active(self) -> bool:
        return self.status in self.ACTIVE
