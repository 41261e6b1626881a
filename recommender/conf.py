"""A typed view of settings.RECOMMENDER. Nothing else reads it: a setting is found, named and checked in one place."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.signals import setting_changed
from django.core.validators import validate_email

from recommender.engine.data.weighting import EventWeights
from recommender.engine.errors import InvalidConfig

T = TypeVar("T")
_HEADER = re.compile(r"[A-Za-z0-9_-]*")
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}  # of currencies; another's code stands before the amount


@dataclass(frozen=True)
class LanguageModel:
    """An OpenAI-compatible endpoint, and what it may cost."""

    url: str
    """Its base, such as https://api.example.com/v1."""
    model: str
    key_variable: str = ""
    """The environment variable that holds the key; the key itself stands in no setting."""
    timeout_s: float = 20.0
    """Seconds that one answer may take, all its steps together."""
    steps: int = 4
    """Requests to the endpoint for one answer: each may ask for tools, the last one may not."""
    max_tokens: int = 500
    """Of one request's answer."""
    tokens_a_day: int = 200_000
    """Of all requests of a web process between two midnights (UTC); beyond it, templates answer."""

    def __post_init__(self) -> None:
        if not str(self.url).startswith(("http://", "https://")):
            raise InvalidConfig("assistant: url must begin with http:// or https://.")
        if not self.model:
            raise InvalidConfig("assistant: model is missing.")
        for name in ("timeout_s", "steps", "max_tokens", "tokens_a_day"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise InvalidConfig(f"assistant: {name} must be a number above 0.")


SUBJECTS = ("profile", "review", "order", "session", "access")  # what can be screened


@dataclass(frozen=True)
class ScreeningSettings:
    """What detectors look at, when, and what their findings mean."""

    on: bool = True
    """Off: nothing is looked at, and no verdict changes what a training learns from."""
    subjects: tuple[str, ...] = SUBJECTS
    """What is looked at."""
    quarantine_at: float = 0.9
    """Probability from which a finding's events are left out of training before anybody has decided."""
    weigh_down_at: float = 0.5
    """Probability from which they count less: by the probability that all is well."""
    every_minutes: float = 60.0
    """Between two passes while something happens in the shop; 0 for none by the clock."""
    burst_events: int = 5_000
    """So many new events since the last pass ask for another at once; 0 for none."""

    def __post_init__(self) -> None:
        if not isinstance(self.on, bool):
            raise InvalidConfig("screening: on must be true or false.")
        if not isinstance(self.subjects, list | tuple) or not set(map(str, self.subjects)) <= set(SUBJECTS):
            raise InvalidConfig(f"screening: subjects must be a list of {', '.join(SUBJECTS)}.")
        object.__setattr__(self, "subjects", tuple(name for name in SUBJECTS if name in self.subjects))
        for name in ("quarantine_at", "weigh_down_at", "every_minutes", "burst_events"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise InvalidConfig(f"screening: {name} must be a number of 0 or more.")
        if not 0 < self.weigh_down_at <= self.quarantine_at <= 1:
            raise InvalidConfig("screening: 0 < weigh_down_at <= quarantine_at <= 1 must hold.")
        if self.burst_events != int(self.burst_events):
            raise InvalidConfig("screening: burst_events must be a whole number.")


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


@dataclass(frozen=True)
class Alerts:
    """Whom to tell of new verdicts. See docs/guarding.md."""

    LEAST_SECRET: ClassVar[int] = 16  # characters
    email: Sequence[str] = ()
    """Addresses."""
    webhook: str = ""
    """Where to post; https, or http on this machine."""
    secret_variable: str = "ALERTS_SECRET"  # noqa: S105  a name
    """The environment variable that holds what the webhook's messages are signed with."""
    insecure_webhook: bool = False
    """Post over http to other machines too."""
    an_hour: int = 4
    """Messages of one channel within an hour; what comes meanwhile waits and goes into one."""
    timeout_s: float = 10.0
    """Seconds that the webhook may take, all in all."""
    site_url: str = ""
    """Where the site is to be found, such as https://shop.example, for links in messages."""
    from_probability: float = 0.5
    """Findings less sure than this are not told."""

    def __post_init__(self) -> None:
        if isinstance(self.email, str) or not isinstance(self.email, Sequence):
            raise InvalidConfig("alerts: email must be a list of addresses.")
        for address in self.email:
            try:
                validate_email(address)
            except ValidationError as error:
                raise InvalidConfig(f"alerts: {address!r} is no e-mail address.") from error
        for name, schemes in (("webhook", ("https", "http")), ("site_url", ("https", "http"))):
            url = getattr(self, name)
            try:
                parts = urlsplit(url)
                good = not url or (parts.scheme in schemes and bool(parts.hostname) and parts.port != 0)
            except (ValueError, AttributeError):
                good = False
            if not good or not isinstance(url, str) or "@" in parts.netloc or not url.isascii() or " " in url:
                raise InvalidConfig(f"alerts: {name} must be an address such as https://example.com/path.")
        if self.webhook.startswith("http:") and not (self.insecure_webhook or _is_local(self.webhook)):
            raise InvalidConfig("alerts: webhook must be https, or http on this machine; or set insecure_webhook.")
        if not isinstance(self.secret_variable, str) or not self.secret_variable:
            raise InvalidConfig("alerts: secret_variable must name an environment variable.")
        for name, least, most in (("an_hour", 1, 3600), ("timeout_s", 0.1, 60), ("from_probability", 0, 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise InvalidConfig(f"alerts: {name} must be a number from {least} to {most}.")


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Conf:
    artifacts_dir: Path
    """Where runs write their artifacts; shared by workers (write) and web processes (read)."""
    shop_name: str = "recsite"
    """The shop's name, on every page."""
    shop_tagline: str = ""
    """A few words beside the name."""
    currency: str = "GBP"
    """ISO 4217 code of all prices."""
    trainer: str = "als"
    """Key of engine.trainers.TRAINERS that a run uses unless told otherwise."""
    trainer_config: Mapping[str, Any] = field(default_factory=dict)
    """Settings of that trainer that differ from its defaults."""
    device: str = "auto"
    """Where torch trains: cpu, cuda, or auto for a GPU where there is one."""
    assistant: Mapping[str, Any] = field(default_factory=dict)
    """A LanguageModel's settings, for the shopping assistant; empty for answers by templates alone."""
    screening: Mapping[str, Any] = field(default_factory=dict)
    """ScreeningSettings that differ from their defaults."""
    index: str = "auto"
    """Key of engine.index.INDEXES, or auto: exact for small catalogues, faiss for large ones."""
    threads: int = 2
    """Threads of a training run."""
    half_life_days: float = 180.0
    """Age at which an event counts half; 0 turns decay off."""
    event_weights: Mapping[str, float] = field(default_factory=lambda: EventWeights().by_kind)
    """Weight of one event of each kind."""
    history_length: int = 100
    """Latest events of a visitor that a recommendation is computed from."""
    test_share: float = 0.1
    """Share of the events, the latest ones, that a run is judged by before it learns from them too."""
    encoders: Mapping[str, Any] = field(default_factory=dict)
    """By modality (text, image, audio): {"name": key of engine.encoders.ENCODERS, "config": settings that differ}.
    A modality that is null or left out is off."""
    auto_publish: bool = True
    """Publish a run that passes the gate; otherwise staff do."""
    keep_artifacts: int = 5
    """Artifacts that stay on disk beside the live one: so many to roll back to, and so many that never served."""
    max_tries: int = 3
    """Times a run is started before it fails because its worker is lost."""
    lost_after_s: float = 60.0
    """Seconds without a heartbeat after which a running run counts as lost."""
    guard: Mapping[str, Any] = field(default_factory=dict)
    """A Guard's settings that differ from its defaults."""
    alerts: Mapping[str, Any] = field(default_factory=dict)
    """An Alerts' settings; empty for no alerts."""

    @property
    def tuning_dir(self) -> Path:
        """Where `manage.py tune` keeps its studies: beside the artifacts, so that web processes can read them too."""
        return self.artifacts_dir.parent / "tuning"

    @property
    def language_model(self) -> LanguageModel | None:
        """Raises InvalidConfig."""
        return _made(LanguageModel, "assistant", self.assistant) if self.assistant else None

    @cached_property
    def guarding(self) -> Guard:
        """Raises InvalidConfig."""
        return _made(Guard, "guard", self.guard)

    @cached_property
    def alerting(self) -> Alerts:
        """Raises InvalidConfig."""
        return _made(Alerts, "alerts", self.alerts)

    @property
    def screened(self) -> ScreeningSettings:
        """Raises InvalidConfig."""
        known = {f.name for f in fields(ScreeningSettings)}
        if strange := sorted(set(self.screening) - known):
            raise InvalidConfig(f"screening has no setting {', '.join(strange)}; it has {', '.join(sorted(known))}.")
        return ScreeningSettings(**self.screening)

    @property
    def encoders_on(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """By modality that is on: the encoder's name, and settings of it that differ from its defaults."""
        on = {modality: chosen for modality, chosen in self.encoders.items() if chosen}
        return {modality: (chosen["name"], chosen.get("config") or {}) for modality, chosen in on.items()}

    @property
    def weights(self) -> EventWeights:
        return EventWeights(by_kind=dict(self.event_weights), half_life_days=self.half_life_days)

    @property
    def currency_symbol(self) -> str:
        return SYMBOLS.get(self.currency, f"{self.currency} ")


def _made(kind: type[T], name: str, values: Mapping[str, Any]) -> T:
    """An object of settings from JSON. Raises InvalidConfig."""
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if strange := sorted(set(values) - known):
        raise InvalidConfig(f"{name} has no setting {', '.join(strange)}; it has {', '.join(sorted(known))}.")
    try:
        return kind(**values)
    except TypeError as error:
        raise InvalidConfig(f"{name}: {error}.") from error


@lru_cache(maxsize=1)
def conf() -> Conf:
    """The settings, read once. Raises ImproperlyConfigured on a name that is not a setting."""
    values: dict[str, Any] = dict(settings.RECOMMENDER)
    if strange := sorted(set(values) - {f.name for f in fields(Conf)}):
        raise ImproperlyConfigured(f"settings.RECOMMENDER has no setting {', '.join(strange)}.")
    return Conf(**values)


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "RECOMMENDER":
        conf.cache_clear()


setting_changed.connect(_forget)  # tests override settings
