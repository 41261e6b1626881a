"""Trying passwords: whoever guesses waits longer and longer, and the owner of an account is not locked out by it.

Tries count where they start, so that a thousand at once are not one; a right one is taken back. Whoever tries many
names meets the client's limit, whoever tries one name from many addresses the account's. That last one could lock the
owner out, so a browser that has logged in to the account before is told apart by a signed cookie and counted for itself
(the device cookies of OWASP's "Slow Down Online Guessing Attacks").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core import signing
from django.utils.crypto import get_random_string

from recommender.models import Access
from recommender.services.errors import TooMany
from recommender.services.screening import access_log, clients, counters, velocity
from recommender.services.screening.counters import Count

COOKIE = "device"
COOKIE_OPTIONS: Mapping[str, Any] = {"max_age": 365 * 24 * 3600, "httponly": True, "samesite": "Lax"}


@dataclass(frozen=True)
class Try:
    name: str
    client: str
    counts: list[Count]

    def ended(self, well: bool) -> dict[str, Any]:
        """Note how it went. Where it went well: arguments of `set_cookie`, by which the browser is known again."""
        access_log.note(Access.Door.LOG_IN, self.name, self.client, failed=not well)
        if not well:
            return {}
        for one in self.counts:
            counters.defer(Count(one.rule, one.key, one.seconds, -one.by))
        value = signing.Signer(salt=COOKIE).sign_object([velocity.plain(self.name), get_random_string(12)])
        return {"key": COOKIE, "value": value, "secure": settings.HTTPS, **COOKIE_OPTIONS}


def start(name: str, meta: Mapping[str, Any], cookies: Mapping[str, str]) -> Try:
    """A password for this name comes with a request of these headers and cookies. Raises TooMany."""
    client, plain = clients.client(meta), velocity.plain(name)
    known, address = _device(cookies.get(COOKIE, ""), plain), clients.counted(client)
    pair = f"{plain}\n{known or address}" if known or address else ""
    asked = [
        ("pair_log_ins", pair, 1, ""),
        ("pair_log_ins_day", pair, 1, ""),
        ("account_log_ins", "" if known else plain, 1, ""),
        ("client_log_ins", "" if known else address, 1, ""),
    ]
    counts = velocity.counts_of(asked)
    try:
        velocity.judge(*asked)
    except TooMany:
        # Only tries that were let through count, so that waiting ends even though one goes on trying.
        for one in counts:
            counters.defer(Count(one.rule, one.key, one.seconds, -one.by))
        access_log.note(Access.Door.LOG_IN, name, client, failed=True)
        raise
    return Try(name, client, counts)


def _device(cookie: str, name: str) -> str:
    """Which of the account's browsers this is; empty for one that never logged in to it."""
    try:
        whose, number = signing.Signer(salt=COOKIE).unsign_object(cookie) if cookie else ("", "")
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return f"device {number}" if whose == name else ""
