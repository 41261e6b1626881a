"""API keys. Only a hash is stored: the key itself is shown once, when it is made."""

from django.conf import settings
from django.db import models


class ApiKey(models.Model):
    class Scope(models.TextChoices):
        INGEST = "ingest", "ingest: post events"
        READ = "read", "read: recommendations and items"
        ADMIN = "admin", "admin: items, runs, publishing"

    name = models.CharField(max_length=80)
    prefix = models.CharField(
        max_length=12, unique=True, editable=False, help_text="First characters, to recognise it by."
    )
    key_hash = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256, hexadecimal.")
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
