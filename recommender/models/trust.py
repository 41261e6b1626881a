"""Whom and what to trust: verdicts of detectors, what became of them, and what they were found in."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from recommender.models.jobs import Job
from recommender.models.people import Visitor


class Screening(Job):
    """One pass of the detectors over the shop."""

    subjects = models.JSONField(default=list, blank=True, help_text="What is looked at; everything where empty.")
    counts = models.JSONField(default=dict, blank=True, help_text="By subject: rows looked at, found, new, gone.")
    failures = models.JSONField(default=dict, blank=True, help_text="By subject whose detector failed: why.")
    artifact = models.CharField(max_length=300, blank=True, help_text="Folder under RECOMMENDER['artifacts_dir'].")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                models.Case(models.When(status__in=["queued", "running"], then=models.Value(1))),
                name="one_active_screening",
            ),
        ]
        indexes = [models.Index(fields=["status"], name="screening_status")]

    def __str__(self) -> str:
        return f"screening {self.pk}"


class Verdict(models.Model):
    """A detector's finding about one profile, review, order, session, or user of a door; and what became of it."""

    class Subject(models.TextChoices):
        PROFILE = "profile"
        REVIEW = "review"
        ORDER = "order"
        SESSION = "session"
        ACCESS = "access"

    class State(models.TextChoices):
        OPEN = "open", "open: its events count less"
        QUARANTINED = "quarantined", "quarantined: its events are left out"
        CONFIRMED = "confirmed", "confirmed: its events are left out"
        RELEASED = "released", "released: its events count in full"
        LAPSED = "lapsed", "lapsed: no longer found"

    LEFT_OUT = (State.QUARANTINED, State.CONFIRMED)
    WAITING = (State.OPEN, State.QUARANTINED)  # for a person to look at; nobody has decided yet
    MAX_ID, MAX_KIND = 200, 40  # characters

    subject = models.CharField(max_length=7, choices=Subject)
    subject_id = models.CharField(max_length=MAX_ID, help_text="Visitor, review, order, session or client.")
    visitor = models.ForeignKey(Visitor, null=True, blank=True, on_delete=models.CASCADE, related_name="verdicts")
    kind = models.CharField(max_length=MAX_KIND, help_text="What it looks like: push, nuke, scraper, ...")
    probability = models.FloatField(help_text="How surely it is what it looks like: 0 to 1.")
    reasons = models.JSONField(default=list, blank=True, help_text="In plain words, the weightiest first.")
    evidence = models.JSONField(default=dict, blank=True, help_text="Figures, targets, timeline: see services.")
    group = models.CharField(max_length=32, blank=True, help_text="Shared by those that act together.")
    detector = models.CharField(max_length=40, blank=True, help_text="What found it.")
    state = models.CharField(max_length=11, choices=State, default=State.OPEN)
    found_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, help_text="When it was last found.")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-probability", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "subject_id"], name="one_verdict_per_subject"),
            models.CheckConstraint(condition=models.Q(probability__range=(0, 1)), name="verdict_probability_0_to_1"),
        ]
        indexes = [
            models.Index(fields=["state", "-probability"], name="verdict_queue"),
            models.Index(fields=["group"], name="verdict_group", condition=~models.Q(group="")),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject} {self.subject_id}"


class Decision(models.Model):
    """One change of one verdict's state: by whom, when and why. Append-only; undoing adds a row."""

    class Action(models.TextChoices):
        FIND = "find", "found"
        QUARANTINE = "quarantine"
        CONFIRM = "confirm"
        RELEASE = "release"
        LAPSE = "lapse", "no longer found"
        UNDO = "undo"

    verdict = models.ForeignKey(Verdict, on_delete=models.CASCADE, related_name="decisions")
    action = models.CharField(max_length=10, choices=Action)
    before = models.CharField(max_length=11, blank=True)
    after = models.CharField(max_length=11)
    batch = models.UUIDField(help_text="Shared by what was decided at once, and undone at once.")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    note = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["batch"], name="decision_batch")]

    def __str__(self) -> str:
        return f"{self.action} {self.verdict_id}"


class Access(models.Model):
    """What one client did at one door in one minute, counted: log-ins and requests of API keys."""

    class Door(models.TextChoices):
        LOG_IN = "log_in", "log in"
        API = "api", "API"

    door = models.CharField(max_length=6, choices=Door)
    who = models.CharField(max_length=150, blank=True, help_text="Account's name or API key's prefix, as given.")
    client = models.CharField(max_length=64, blank=True, help_text="Network address.")
    minute = models.DateTimeField()
    requests = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0, help_text="Of those: wrong password, key or scope, no such item.")
    targets = models.PositiveIntegerField(default=0, help_text="About how many different things were asked for.")

    class Meta:
        ordering = ["-minute"]
        verbose_name_plural = "access"
        constraints = [
            models.UniqueConstraint(fields=["door", "who", "client", "minute"], name="one_access_count_per_minute")
        ]
        indexes = [models.Index(fields=["minute"], name="access_minute")]

    def __str__(self) -> str:
        return f"{self.door} {self.who} {self.minute:%Y-%m-%d %H:%M}"


class Alert(models.Model):
    """A message about new verdicts that was sent, or could not be."""

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook"

    channel = models.CharField(max_length=7, choices=Channel)
    text = models.TextField()
    verdicts = models.PositiveIntegerField(help_text="How many it tells of.")
    up_to = models.BigIntegerField(default=0, help_text="Id of the latest decision that it tells of.")
    error = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.channel} {self.at:%Y-%m-%d %H:%M}"
