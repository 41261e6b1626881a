"""API keys: made once, shown once, kept as a hash."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import Q
from django.utils import timezone

from recommender.models import ApiKey
from recommender.services.errors import InvalidApiKey, InvalidInput, MissingScope

MAX_NAME = 80  # characters
PREFIX_LENGTH = 12  # "rs_" and nine characters: enough to tell keys apart, useless for guessing one
KNOWN_FOR_S = 2.0  # seconds that a key is not asked for again: a revoked one works so long in other processes
BELIEVED_FOR_S = 3600.0  # seconds that a key is let in by memory while no database can say whether it still holds
MOST_SEEN = 1000
TOUCH_EVERY = timedelta(minutes=1)  # last_used_at is for people; one write a minute is enough

_seen: dict[str, tuple[float, ApiKey]] = {}  # by hash: when it was found (monotonic seconds), and its row


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
    """The live key's row, as it was at most KNOWN_FOR_S ago, or, where the database cannot be asked, what it said
    lately. Raises InvalidApiKey."""
    hashed = _hash(secret)
    known = _seen.get(hashed)
    if known is not None and time.monotonic() - known[0] < KNOWN_FOR_S:
        return known[1]
    try:
        key = ApiKey.objects.filter(key_hash=hashed, revoked_at=None).first() if secret else None
    except (OperationalError, InterfaceError):
        before, key = _seen.get(hashed, (0.0, None))
        if key is None or time.monotonic() - before > BELIEVED_FOR_S:
            raise
        return key
    if key is None:
        _seen.pop(hashed, None)
        raise InvalidApiKey("Send a key made in the admin in the header X-API-Key.")
    if len(_seen) >= MOST_SEEN:
        _seen.clear()
    _seen[hashed] = time.monotonic(), key
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - TOUCH_EVERY)
    if key.last_used_at is None or key.last_used_at < now - TOUCH_EVERY:
        with suppress(DatabaseError):  # a database that is busy or read-only is no reason to turn a reader away
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
    """Stop a key from working, here at once and in other processes within KNOWN_FOR_S; its row stays as a record."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    _seen.pop(key.key_hash, None)


def _hash(secret: str) -> str:
    # A fast hash is right here: the key is 256 random bits, so there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()
