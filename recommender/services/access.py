"""API keys: made once, shown once, kept as a hash."""

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import OperationalError
from django.db.models import Q
from django.utils import timezone

from recommender.models import ApiKey
from recommender.services.errors import InvalidApiKey, InvalidInput, MissingScope

MAX_NAME = 80  # characters
PREFIX_LENGTH = 12  # "rs_" and nine characters: enough to tell keys apart, useless for guessing one
TOUCH_EVERY = timedelta(minutes=1)  # last_used_at is for people; one write a minute is enough


def create(name: str, scopes: Sequence[str], by: Any = None) -> tuple[ApiKey, str]:
    """A new key's row and the key itself, which cannot be read again. Raises InvalidInput."""
    if not 1 <= len(name.strip()) <= MAX_NAME:
        raise InvalidInput(f"Give the key a name of at most {MAX_NAME} characters, such as the program that uses it.")
    if not scopes or set(scopes) - set(ApiKey.Scope.values):
        raise InvalidInput(f"scopes: one or more of {', '.join(ApiKey.Scope.values)}.")
    secret = f"rs_{secrets.token_urlsafe(32)}"
    key = ApiKey.objects.create(
        name=name.strip(),
        prefix=secret[:PREFIX_LENGTH],
        key_hash=_hash(secret),
        scopes=sorted(set(scopes)),
        created_by=by,
    )
    return key, secret


def authenticate(secret: str) -> ApiKey:
    """The live key's row. Raises InvalidApiKey."""
    key = ApiKey.objects.filter(key_hash=_hash(secret), revoked_at=None).first() if secret else None
    if key is None:
        raise InvalidApiKey("Send a key made in the admin in the header X-API-Key.")
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - TOUCH_EVERY)
    if key.last_used_at is None or key.last_used_at < now - TOUCH_EVERY:
        with suppress(OperationalError):  # a busy database is no reason to turn a reader away
            ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    return key


def prefix_of(secret: str) -> str:
    """What may be written down of something sent as a key: of a key its prefix, of anything else nothing."""
    return secret[:PREFIX_LENGTH] if secret.startswith("rs_") else ""


def require(key: ApiKey, scope: str) -> None:
    """Raises MissingScope. The admin scope includes the others."""
    if scope not in key.scopes and ApiKey.Scope.ADMIN not in key.scopes:
        raise MissingScope(f"This needs the scope {scope}; the key has {', '.join(key.scopes) or 'none'}.")


def revoke(key: ApiKey) -> None:
    """Stop a key from working at once; its row stays as a record."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())


def _hash(secret: str) -> str:
    # A fast hash is right here: the key is 256 random bits, so there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()
