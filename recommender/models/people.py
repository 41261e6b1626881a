"""Visitors: everyone whose behaviour is recorded, whether or not they have an account."""

from django.conf import settings
from django.db import models

from recommender.models.ids import MAX_LENGTH, validate_external_id


class Visitor(models.Model):
    """A guest, an account's shopper, or a user that an API client or an import named.

    The id is the outside world's: `guest:<uuid>` from the shop's cookie, `account:<pk>`, `session:<id>` for an API
    client's anonymous session, or whatever id the client uses for its own user.
    """

    class Kind(models.TextChoices):
        GUEST = "guest"
        ACCOUNT = "account"
        EXTERNAL = "external"

    id = models.CharField(primary_key=True, max_length=MAX_LENGTH, validators=[validate_external_id])
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.GUEST)
    account = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="visitor"
    )
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="merged")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.id
