"""Settings of the rules in the request path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from recommender.engine.errors import InvalidConfig

_HEADER = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Limit:
    """So many in so many seconds."""

    seconds: int
    soft: int | None = None
    """More than these are flagged or held."""
    hard: int | None = None
    """More than these are refused."""

    def __post_init__(self) -> None:
        for name, value in (("seconds", self.seconds), ("soft", self.soft), ("hard", self.hard)):
            if value is None and name != "seconds":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 10**9:
                raise InvalidConfig(f"{name} must be a whole number above 0.")
        if self.soft is not None and self.hard is not None and self.soft > self.hard:
            raise InvalidConfig("soft must not be above hard.")


# Several times what the honest do, who were measured: `python -m tests.benchmarks.guard --rhythms`, docs/guarding.md.
LIMITS: Mapping[str, Limit] = {
    "visitor_events": Limit(60, soft=40, hard=400),
    "client_events": Limit(60, soft=400, hard=2000),
    "visitor_items": Limit(3600, soft=80, hard=2000),
    "client_items": Limit(3600, soft=2000, hard=20_000),
    "visitor_cards": Limit(60, soft=1500, hard=10_000),
    "visitor_carts": Limit(3600, soft=60, hard=600),
    "visitor_reviews": Limit(3600, soft=10, hard=60),
    "client_reviews": Limit(3600, soft=20, hard=200),
    "item_reviews": Limit(3600, soft=20),
    "visitor_orders": Limit(3600, soft=12, hard=60),
    "client_orders": Limit(3600, soft=40, hard=200),
    "address_orders": Limit(3600, soft=12),
    "card_orders": Limit(3600, soft=12),
    "pair_log_ins": Limit(300, hard=10),
    "pair_log_ins_day": Limit(86_400, hard=50),
    "account_log_ins": Limit(3600, hard=100),
    "client_log_ins": Limit(3600, hard=200),
    "client_accounts": Limit(3600, hard=60),
    "key_requests": Limit(60, hard=12_000),
    "key_items": Limit(60, hard=6000),
    "client_failures": Limit(60, hard=300),
}


@dataclass(frozen=True)
class Guard:
    """The rules in the request path, and what is kept of who came. See docs/guarding.md."""

    on: bool = True
    limits: Mapping[str, Any] = field(default_factory=dict)
    """By rule of LIMITS: what differs, such as {"visitor_events": {"hard": 900}}; null turns a rule off."""
    client_header: str = ""
    """What names a client: empty for the connection's address where it is public, REMOTE_ADDR for that address always,
    otherwise a header that the proxy before the site sets, such as X-Forwarded-For."""
    proxies: int = 1
    """Of an X-Forwarded-For: how many proxies of one's own add to it; what stands further left may be forged."""
    short_addresses: bool = False
    """Keep only the network of an address: /24, and /48 of IPv6."""
    keep_days: float = 30.0
    """Days that the access log is kept."""

    def __post_init__(self) -> None:
        if not isinstance(self.on, bool) or not isinstance(self.short_addresses, bool):
            raise InvalidConfig("guard: on and short_addresses must be true or false.")
        if not isinstance(self.client_header, str) or not _HEADER.fullmatch(self.client_header):
            raise InvalidConfig("guard: client_header must be a header's name, REMOTE_ADDR, or empty.")
        if isinstance(self.proxies, bool) or not isinstance(self.proxies, int) or not 1 <= self.proxies <= 20:
            raise InvalidConfig("guard: proxies must be a whole number from 1 to 20.")
        if (
            isinstance(self.keep_days, bool)
            or not isinstance(self.keep_days, int | float)
            or not 0 < self.keep_days <= 3650
        ):
            raise InvalidConfig("guard: keep_days must be a number above 0, at most 3650.")
        if not isinstance(self.limits, Mapping):
            raise InvalidConfig("guard: limits must be an object.")
        self.rules  # noqa: B018  built to be checked

    @cached_property
    def rules(self) -> Mapping[str, Limit]:
        """The limits in force, by name. Raises InvalidConfig."""
        if strange := sorted(set(self.limits) - set(LIMITS)):
            raise InvalidConfig(f"guard: no such limit: {', '.join(strange)}; there are {', '.join(LIMITS)}.")
        found = dict(LIMITS)
        for name, changes in self.limits.items():
            if changes is None:
                del found[name]
                continue
            try:
                found[name] = replace(found[name], **changes)
            except (TypeError, InvalidConfig) as error:
                raise InvalidConfig(f"guard: {name}: seconds, soft and hard are whole numbers: {error}") from error
        return found
