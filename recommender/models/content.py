"""What items say, show and sound like, as vectors; and the jobs that make them."""

from django.db import models
from django.utils import timezone

from recommender.models.catalogue import Item
from recommender.models.jobs import Job


class ItemVector(models.Model):
    """One item in one modality, encoded; or why it could not be."""

    class Modality(models.TextChoices):
        TEXT = "text"
        IMAGE = "image"
        AUDIO = "audio"

    MAX_ERROR = 300  # characters

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="vectors")
    modality = models.CharField(max_length=5, choices=Modality)
    encoder = models.CharField(max_length=80, help_text="Name and hash of what encoded it.")
    source_hash = models.CharField(max_length=64, help_text="SHA-256 of what was encoded.")
    vector = models.BinaryField(null=True, help_text="float32, little-endian, of length 1; empty where it has none.")
    error = models.CharField(max_length=MAX_ERROR, blank=True, help_text="Why it could not be encoded.")
    encoded_at = models.DateTimeField(default=timezone.now)
    checked_at = models.DateTimeField(
        default=timezone.now, help_text="The item's updated_at when its source was compared."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "modality"], name="one_vector_per_item_and_modality")]
        indexes = [
            models.Index(fields=["modality", "encoded_at"], name="vector_modality_encoded"),
            models.Index(fields=["modality", "encoder"], name="vector_modality_encoder"),
            models.Index(fields=["modality", "item"], condition=models.Q(error__gt=""), name="vector_refused"),
        ]

    def __str__(self) -> str:
        return f"{self.modality} of {self.item_id}"


class Encoding(Job):
    """One pass over the catalogue that encodes what changed."""

    everything = models.BooleanField(default=False, help_text="Encode unchanged items again too.")
    since = models.DateTimeField(null=True, blank=True, help_text="Look at items saved since; at all where empty.")
    encoders = models.JSONField(default=dict, blank=True, help_text="By modality: name, config, hash and folder.")
    counts = models.JSONField(default=dict, blank=True, help_text="Items by modality: encoded, unchanged, refused.")
    refused = models.JSONField(default=list, blank=True, help_text="Items that could not be encoded, with the reason.")
    artifact = models.CharField(max_length=300, blank=True, help_text="Folder under RECOMMENDER['artifacts_dir'].")
    tune = models.CharField(max_length=5, blank=True, help_text="Modality whose encoder is fine-tuned first.")
    report = models.JSONField(default=dict, blank=True, help_text="What fine-tuning and fusion gained.")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                models.Case(models.When(status__in=["queued", "running"], then=models.Value(1))),
                name="one_active_encoding",
            ),
        ]
        indexes = [models.Index(fields=["status"], name="encoding_status")]

    def __str__(self) -> str:
        return f"encoding {self.pk}"
