"""Telling people of new verdicts, by e-mail and by a signed webhook, no more often than the settings say.

What could not be told, and what comes while the hour's messages are spent, goes into the next message.
"""

import hashlib
import hmac
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import Max, QuerySet
from django.utils import timezone

from recommender.conf import Alerts, conf
from recommender.models import Alert, Decision, Verdict

log = logging.getLogger(__name__)

SHOWN = 20  # verdicts that one message names; the rest is a number and a link
REASONS = 3  # of each verdict
FIRST_WAIT = timedelta(minutes=1)  # after a failure; twice as long after each further one
LONGEST_WAIT = timedelta(hours=1)
KEPT = timedelta(days=90)  # rows of alerts
SIGNATURE, TIMESTAMP, MESSAGE_ID = "X-Recsite-Signature", "X-Recsite-Timestamp", "X-Recsite-Message"
TOLERANCE_S = 300  # how old a signature may be; what is older may be sent again by somebody else
MAX_ERROR = Alert._meta.get_field("error").max_length or 300


class NotSent(Exception):
    """Why a message did not arrive."""


@dataclass(frozen=True)
class Message:
    id: str
    """The same when it is sent again, so that a receiver can tell."""
    subject: str
    text: str
    body: dict[str, Any]
    """What the webhook gets."""


@dataclass(frozen=True)
class ChannelState:
    """What the console shows of one channel."""

    channel: str
    to: str
    waiting: int
    """Verdicts that it has not told of yet."""
    last_at: datetime | None
    """When it last told of something."""
    error: str
    """Why the latest try failed; empty where it did not."""
    failed_at: datetime | None


def send_due(now: datetime | None = None) -> list[Alert]:
    """Tell each channel of what it has not told yet. Returns the rows of what was sent and of what failed."""
    moment = now or timezone.now()
    Alert.objects.filter(at__lt=moment - KEPT).exclude(pk__in=_latest_told()).delete()
    found = []
    for channel in _channels():
        since = _told_up_to(channel)
        news = _news(since)
        if not news.exists() or not _may_send(channel, moment):
            continue
        up_to = news.aggregate(up_to=Max("id"))["up_to"]
        verdicts = Verdict.objects.filter(pk__in=news.values("verdict"))
        message, count = _message(channel, since, up_to, verdicts, moment)
        error = _try(channel, message)
        row = Alert(channel=channel, text=message.text, verdicts=count, up_to=since if error else up_to, at=moment)
        row.error = error
        row.save()
        found.append(row)
    return found


def test() -> dict[str, str]:
    """Send a test message by each channel: {channel: why it failed, or nothing}. Nothing is written down."""
    name, now = conf().shop_name, timezone.now()
    text = f"This is a test of the alerts of {name}. Nothing was found."
    number = f"test-{int(now.timestamp())}"
    body = {"id": number, "test": True, "sent_at": now.isoformat(), "shop": name, "text": text}
    message = Message(number, f"[{name}] Test of alerts", text, {**body, "verdicts": [], "more": 0})
    return {channel: _try(channel, message) for channel in _channels()}


def tell(subject: str, text: str, number: str) -> dict[str, str]:
    """Tell of something else that happened, by each channel at once: {channel: why it failed, or nothing}.

    `number` is the same where it is told again. Nothing is written down; what failed is logged.
    """
    name, now = conf().shop_name, timezone.now()
    body = {"id": number, "sent_at": now.isoformat(), "shop": name, "text": f"{subject}. {text}", "url": _url()}
    message = Message(number, f"[{name}] {subject}", text, {**body, "verdicts": [], "more": 0})
    return {channel: _try(channel, message) for channel in _channels()}


def state() -> list[ChannelState]:
    """Where each channel stands; empty where none is set up."""
    found = []
    for channel, to in _channels().items():
        rows = Alert.objects.filter(channel=channel)
        last, told = rows.first(), rows.filter(error="").first()
        failed = last if last and last.error else None
        waiting = Verdict.objects.filter(pk__in=_news(_told_up_to(channel)).values("verdict")).count()
        found.append(
            ChannelState(
                channel,
                to,
                waiting,
                told.at if told else None,
                failed.error if failed else "",
                failed.at if failed else None,
            )
        )
    return found


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of timestamp, a dot and the body, as the webhook's header has it."""
    return "v1=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def verify(secret: str, timestamp: str, body: bytes, signature: str, now: float) -> bool:
    """Whether a message came from whoever knows the secret, just now: what a receiver has to do."""
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp[:18])) > TOLERANCE_S:
        return False
    return hmac.compare_digest(sign(secret, int(timestamp[:18]), body).encode(), signature.encode())


# What there is to tell


def _channels() -> dict[str, str]:
    """The channels that are set up, and where they lead."""
    wanted = conf().alerting
    found = {}
    if wanted.email:
        found[Alert.Channel.EMAIL.value] = ", ".join(wanted.email)
    if wanted.webhook:
        found[Alert.Channel.WEBHOOK.value] = wanted.webhook.partition("?")[0]  # what follows may be a token
    return found


def _told_up_to(channel: str) -> int:
    return Alert.objects.filter(channel=channel, error="").aggregate(up_to=Max("up_to"))["up_to"] or 0


def _latest_told() -> list[int]:
    rows = Alert.objects.filter(error="").order_by().values("channel").annotate(latest=Max("id"))
    return [row["latest"] for row in rows]


def _news(since: int) -> QuerySet[Decision]:
    """What detectors decided since, of verdicts that nobody has looked at yet."""
    return Decision.objects.filter(
        id__gt=since,
        by=None,
        action__in=(Decision.Action.FIND, Decision.Action.QUARANTINE),
        verdict__state__in=Verdict.WAITING,
        verdict__probability__gte=conf().alerting.from_probability,
    )


def _may_send(channel: str, now: datetime) -> bool:
    rows = Alert.objects.filter(channel=channel)
    if rows.filter(error="", at__gt=now - timedelta(hours=1)).count() >= conf().alerting.an_hour:
        return False
    told = rows.filter(error="").aggregate(latest=Max("id"))["latest"] or 0
    failures = rows.filter(id__gt=told)
    if not (tried := failures.count()):
        return True
    wait = min(FIRST_WAIT * 2 ** min(tried - 1, 10), LONGEST_WAIT)
    latest = failures.aggregate(latest=Max("at"))["latest"]
    return now >= latest + wait or now < latest  # a clock that went back must not silence it


def _message(channel: str, since: int, up_to: int, verdicts: QuerySet[Verdict], now: datetime) -> tuple[Message, int]:
    shop, count = conf().shop_name, verdicts.count()
    shown = list(verdicts.order_by("-probability", "-id")[:SHOWN])
    left_out = verdicts.filter(state=Verdict.State.QUARANTINED).count()
    told = f"{count} new finding{'s' if count != 1 else ''}"
    first = f"{told} in {shop}" + (
        f", {left_out} of them left out of training until somebody decides." if left_out else "."
    )
    lines = [first, ""]
    for one in shown:
        lines.append(f"- {_line(one)}")
        lines += [f"    {_plain(reason)}" for reason in one.reasons[:REASONS]]
    if count > len(shown):
        lines.append(f"and {count - len(shown)} more.")
    if queue := _url():
        lines += ["", f"Look at them: {queue}"]
    body = {
        "id": f"{channel}-{since}-{up_to}",
        "sent_at": now.isoformat(),
        "shop": shop,
        "text": first,
        "url": queue,
        "verdicts": [
            {
                "id": one.pk,
                "subject": one.subject,
                "subject_id": one.subject_id,
                "kind": one.kind,
                "probability": round(one.probability, 4),
                "state": one.state,
                "group": one.group,
                "found_at": one.found_at.isoformat(),
                "reasons": [_plain(reason) for reason in one.reasons[:REASONS]],
                "url": _url(one.pk),
            }
            for one in shown
        ],
        "more": count - len(shown),
    }
    return Message(str(body["id"]), f"[{shop}] {told}", "\n".join(lines), body), count


def _line(one: Verdict) -> str:
    what = f"{one.kind.replace('_', ' ').replace('-', ' ')}: {one.subject} {_plain(one.subject_id)}"
    return f"{what}, {one.probability:.0%} sure, {one.get_state_display().partition(':')[0]}"


def _plain(text: Any) -> str:
    """One line of printable characters: what a finding says may hold a stranger's words."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:500]


def _url(verdict: int | None = None) -> str:
    base = conf().alerting.site_url.rstrip("/")
    tail = f"{verdict}/change/" if verdict else ""
    return f"{base}/admin/recommender/verdict/{tail}" if base else ""


# How it is told


def _try(channel: str, message: Message) -> str:
    """Why it could not be sent; empty where it was."""
    send: dict[str, Callable[[Alerts, Message], None]] = {"email": _send_email, "webhook": _send_webhook}
    try:
        send[channel](conf().alerting, message)
    except NotSent as error:
        why = _plain(error)[:MAX_ERROR]  # a stranger's server may have worded it
        log.warning("The alert %s was not sent: %s", message.id, why)
        return why
    return ""


def _send_email(wanted: Alerts, message: Message) -> None:
    if not settings.EMAIL_URL:
        raise NotSent("EMAIL_URL is not set.")
    mail = EmailMessage(" ".join(message.subject.split()), message.text, to=list(wanted.email))
    try:
        if not mail.send():
            raise NotSent("The mail server took it for nobody.")
    except (OSError, ValueError) as error:  # smtplib's errors are OSErrors, a bad header is a ValueError
        raise NotSent(f"{type(error).__name__}: {error}") from error


def _send_webhook(wanted: Alerts, message: Message) -> None:
    secret = os.environ.get(wanted.secret_variable, "")
    if len(secret) < Alerts.LEAST_SECRET:
        raise NotSent(f"The environment variable {wanted.secret_variable} holds no secret.")
    body = json.dumps(message.body).encode()
    timestamp = int(timezone.now().timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "recsite",
        TIMESTAMP: str(timestamp),
        SIGNATURE: sign(secret, timestamp, body),
        MESSAGE_ID: message.id,
    }
    status = _post(wanted.webhook, body, headers, wanted.timeout_s)
    if not 200 <= status < 300:
        moved = " It is not followed: name the address where it ends." if 300 <= status < 400 else ""
        raise NotSent(f"The webhook answered {status}.{moved}")


def _post(url: str, body: bytes, headers: dict[str, str], timeout_s: float) -> int:
    """The status of the answer, of which nothing else is read. Raises NotSent."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)

    def hang_up() -> None:  # a timeout of the socket alone would begin anew with every byte that drips in
        if connection.sock:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    deadline = threading.Timer(timeout_s, hang_up)
    deadline.daemon = True
    deadline.start()
    try:
        connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        return connection.getresponse().status
    except TimeoutError as error:
        raise NotSent(f"The webhook did not answer within {timeout_s:g} seconds.") from error
    except (OSError, HTTPException, ValueError) as error:
        late = not deadline.is_alive()
        why = f"did not answer within {timeout_s:g} seconds" if late else f"failed: {type(error).__name__} {error}"
        raise NotSent(f"The webhook {why}.") from error
    finally:
        deadline.cancel()
        connection.close()
