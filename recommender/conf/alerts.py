"""Settings of the alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from recommender.engine.errors import InvalidConfig


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
