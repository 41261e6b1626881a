"""What was shown to whom, by which variant; and the experiments that compare variants."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from recommender.models.ids import MAX_LENGTH
from recommender.models.learning import Run


class Experiment(models.Model):
    """Visitors are divided among variants by their id; what each does is compared."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        STOPPED = "stopped"

    class Metric(models.TextChoices):
        CLICK = "click", "visitors who clicked"
        CART = "cart", "visitors who put something in the cart"
        PURCHASE = "purchase", "visitors who bought"

    name = models.SlugField(max_length=50, unique=True)
    description = models.CharField(max_length=300, blank=True)
    status = models.CharField(max_length=7, choices=Status, default=Status.DRAFT)
    metric = models.CharField(max_length=8, choices=Metric, default=Metric.CLICK)
    share = models.FloatField(
        default=1.0, validators=[MinValueValidator(0), MaxValueValidator(1)], help_text="Of visitors who take part."
    )
    least_effect = models.FloatField(
        default=0.1,
        validators=[MinValueValidator(0.001), MaxValueValidator(10)],
        help_text="The smallest relative difference worth knowing; decides how many visitors are needed.",
    )
    most_days = models.FloatField(
        default=28, validators=[MinValueValidator(0.01)], help_text="Ends at the latest then."
    )
    baseline = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0001), MaxValueValidator(0.9999)],
        help_text="The control's rate as expected; left empty, it is measured when the experiment starts.",
    )
    needed = models.PositiveIntegerField(
        null=True, blank=True, help_text="Visitors of each variant, computed as it started."
    )
    report = models.JSONField(default=dict, blank=True, help_text="What had been found when it stopped.")
    started_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    why_stopped = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class Variant(models.Model):
    """One way to serve. What is not set is as it is for everybody."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    name = models.SlugField(max_length=30)
    weight = models.FloatField(default=1.0, validators=[MinValueValidator(0.001), MaxValueValidator(1000)])
    control = models.BooleanField(default=False, help_text="What the others are compared with.")
    run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Serve by this run."
    )
    settings = models.JSONField(default=dict, blank=True, help_text='Of serving, such as {"diversity": 0.4}.')
    rules = models.BooleanField(default=True, help_text="Whether the business rules act.")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["experiment", "name"], name="one_variant_of_a_name")]

    def __str__(self) -> str:
        return f"{self.experiment_id}/{self.name}"


class Answer(models.Model):
    """One list that was shown: by what, to whom, what stood in it. Events name its `rec_id`. Kept for a while only."""

    rec_id = models.UUIDField(primary_key=True)
    visitor_id = models.CharField(max_length=MAX_LENGTH, blank=True, help_text="No key: a guest may have no row yet.")
    at = models.DateTimeField(default=timezone.now)
    run = models.ForeignKey(
        Run, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_constraint=False, db_index=False
    )
    tier = models.CharField(max_length=12)
    shelf = models.CharField(max_length=32)
    variant = models.ForeignKey(
        Variant, null=True, blank=True, on_delete=models.CASCADE, related_name="answers", db_constraint=False
    )
    items = models.JSONField(default=list, help_text="Ids in order.")
    explored = models.PositiveSmallIntegerField(null=True, blank=True, help_text="The place drawn by chance, from 1.")
    chances = models.JSONField(
        default=dict, blank=True, help_text="For that place: each item that could have stood there, and its chance."
    )

    class Meta:
        verbose_name_plural = "outcomes"  # what of them is shown on the console
        indexes = [
            models.Index(fields=["at"], name="answer_at"),
            models.Index(fields=["visitor_id", "-at"], name="answer_visitor_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.shelf} for {self.visitor_id}"
