"""Alerts: what is told, how often, how it is signed, and what happens where it does not arrive."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.utils import timezone

from recommender.models import Alert, Decision, Verdict
from recommender.services.screening import alerts

pytestmark = [pytest.mark.django_db, pytest.mark.database]

SECRET = "a secret of the tests"
NOW = timezone.now()


class Receiver(HTTPServer):
    """A real server that keeps what it is sent and answers as it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = self.say(204)
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=t"

    @staticmethod
    def say(status: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
        def say(request: BaseHTTPRequestHandler) -> None:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.end_headers()

        return say


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(({**dict(self.headers), "path": self.path}, body))
        self.server.answer(self)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("ALERTS_SECRET", SECRET)
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def setup(settings: Any) -> Callable[..., None]:
    def setup(**values: Any) -> None:
        settings.RECOMMENDER = {**settings.RECOMMENDER, "shop_name": "Folio", "alerts": values}
        settings.EMAIL_URL = "smtp://mail.example"

    return setup


def found(
    subject_id: str, state: str = "quarantined", probability: float = 0.97, by: Any = None, **values: Any
) -> Verdict:
    verdict, _ = Verdict.objects.update_or_create(
        subject="profile",
        subject_id=subject_id,
        defaults={"kind": "push", "state": state, "probability": probability, "reasons": ["Gave 5 stars."], **values},
    )
    action = Decision.Action.QUARANTINE if state == "quarantined" else Decision.Action.FIND
    Decision.objects.create(verdict=verdict, action=action, after=state, batch=uuid.uuid4(), by=by)
    return verdict


def test_no_channel_no_alert(setup: Any) -> None:
    found("a")
    assert alerts.send_due() == []
    assert alerts.state() == []


def test_mail_tells_of_what_is_new_once(setup: Any) -> None:
    setup(email=["shop@example.com", "b@example.com"], site_url="https://shop.example/")
    assert alerts.send_due() == []  # nothing to tell
    found("shopper-1", reasons=["Shares targets.\nwith\x1b 7 others"] * 5)
    found("shopper-2", state="open", probability=0.6)
    [row] = alerts.send_due()
    assert (row.verdicts, row.error) == (2, "")
    [sent] = mail.outbox
    assert sent.to == ["shop@example.com", "b@example.com"]
    assert sent.subject == "[Folio] 2 new findings"
    assert "1 of them left out of training" in sent.body
    assert "- push: profile shopper-1, 97% sure, quarantined\n    Shares targets. with 7 others" in sent.body
    assert sent.body.count("Shares targets") == alerts.REASONS
    assert "https://shop.example/admin/recommender/verdict/" in sent.body
    assert alerts.send_due() == []
    found("shopper-3")
    assert [one.verdicts for one in alerts.send_due()] == [1]


def test_what_is_not_told(setup: Any, django_user_model: Any) -> None:
    setup(email=["shop@example.com"], from_probability=0.5)
    found("unsure", state="open", probability=0.4)
    found("released", state="released")
    found("decided", state="confirmed")
    found("by staff", by=django_user_model.objects.create_user("staff"))
    assert alerts.send_due() == []


def test_a_crowd_is_one_message_with_the_surest(setup: Any) -> None:
    setup(email=["shop@example.com"])
    for n in range(alerts.SHOWN + 5):
        found(f"shopper-{n:02d}", probability=0.9 + n / 1000)
    alerts.send_due()
    [sent] = mail.outbox
    assert "and 5 more." in sent.body
    assert "shopper-24" in sent.body
    assert "shopper-00" not in sent.body


def test_no_more_than_so_many_an_hour_and_then_all_in_one(setup: Any) -> None:
    setup(email=["shop@example.com"], an_hour=2)
    for n in range(6):
        found(f"shopper-{n}")
        alerts.send_due(NOW + timedelta(minutes=n))
    assert len(mail.outbox) == 2
    [state] = alerts.state()
    assert state.waiting == 4
    [row] = alerts.send_due(NOW + timedelta(minutes=61))
    assert row.verdicts == 4


def test_the_webhook_is_signed(setup: Any, receiver: Receiver) -> None:
    setup(webhook=receiver.url, site_url="https://shop.example")
    verdict = found("shopper-1", group="g1")
    [row] = alerts.send_due()
    assert row.error == ""
    [(headers, body)] = receiver.got
    assert headers["path"] == "/hook?token=t"
    told = json.loads(body)
    assert told["verdicts"][0] | {"found_at": ""} == {
        "id": verdict.pk,
        "subject": "profile",
        "subject_id": "shopper-1",
        "kind": "push",
        "probability": 0.97,
        "state": "quarantined",
        "group": "g1",
        "found_at": "",
        "reasons": ["Gave 5 stars."],
        "url": f"https://shop.example/admin/recommender/verdict/{verdict.pk}/change/",
    }
    assert told["id"] == headers[alerts.MESSAGE_ID]
    stamp, signature, now = headers[alerts.TIMESTAMP], headers[alerts.SIGNATURE], time.time()
    assert alerts.verify(SECRET, stamp, body, signature, now)
    assert not alerts.verify("another secret....", stamp, body, signature, now)
    assert not alerts.verify(SECRET, stamp, body + b" ", signature, now)
    assert not alerts.verify(SECRET, str(int(stamp) + 1), body, signature, now)
    assert not alerts.verify(SECRET, stamp, body, signature, now + alerts.TOLERANCE_S + 2)  # sent again later
    for odd in ("", "x", "-1", "9" * 400, "１２"):
        assert not alerts.verify(SECRET, odd, body, signature, now)
    for odd in ("", "v1=", "é"):
        assert not alerts.verify(SECRET, stamp, body, odd, now)


def test_signature_is_the_one_that_other_programs_compute() -> None:
    """Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret`."""
    expected = "v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
    assert alerts.sign("secret", 1_700_000_000, b"{}") == expected


def test_a_failure_is_noted_and_tried_again_later_and_later(setup: Any, receiver: Receiver) -> None:
    setup(webhook=receiver.url)
    receiver.answer = receiver.say(500)
    found("shopper-1")
    tried = [n for n in range(16) if alerts.send_due(NOW + timedelta(minutes=n))]
    assert tried == [0, 1, 3, 7, 15]
    [state] = alerts.state()
    assert (state.waiting, state.error, state.last_at) == (1, "The webhook answered 500.", None)
    ids = {headers[alerts.MESSAGE_ID] for headers, _ in receiver.got}
    assert len(ids) == 1  # so that a receiver can tell that it is the same again
    receiver.answer = receiver.say(200)
    found("shopper-2")
    [row] = alerts.send_due(NOW + timedelta(minutes=31))
    assert (row.verdicts, row.error) == (2, "")
    assert alerts.state()[0].error == ""


def test_one_channel_s_failure_is_not_the_other_s(setup: Any, receiver: Receiver) -> None:
    setup(webhook=receiver.url, email=["shop@example.com"])
    receiver.answer = receiver.say(503)
    found("shopper-1")
    assert {row.channel: bool(row.error) for row in alerts.send_due()} == {"email": False, "webhook": True}
    assert {one.channel: one.waiting for one in alerts.state()} == {"email": 0, "webhook": 1}


def test_redirects_are_not_followed(setup: Any, receiver: Receiver) -> None:
    setup(webhook=receiver.url)
    receiver.answer = receiver.say(307, Location="/elsewhere")
    found("shopper-1")
    [row] = alerts.send_due()
    assert "307" in row.error
    assert len(receiver.got) == 1


def _garbage(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"\x00\xffnot http at all\r\n\r\n")


def _dripping(request: BaseHTTPRequestHandler) -> None:
    """A byte now and then: no read of it ever times out."""
    try:
        for _ in range(40):
            request.wfile.write(b"HTTP")
            time.sleep(0.05)
    except OSError:
        pass


def _nothing(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


@pytest.mark.parametrize("answer", [_garbage, _dripping, _nothing])
def test_an_answer_that_is_none(setup: Any, receiver: Receiver, answer: Any) -> None:
    setup(webhook=receiver.url, timeout_s=0.3)
    receiver.answer = answer
    found("shopper-1")
    started = time.monotonic()
    [row] = alerts.send_due()
    assert row.error.startswith("The webhook ")
    assert time.monotonic() - started < 2


def test_nobody_there(setup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_SECRET", SECRET)
    setup(webhook="http://127.0.0.1:1/")
    found("shopper-1")
    assert "ConnectionRefusedError" in alerts.send_due()[0].error


def test_without_a_secret_nothing_is_sent(setup: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTS_SECRET", "short")
    setup(webhook=receiver.url)
    found("shopper-1")
    assert "ALERTS_SECRET holds no secret" in alerts.send_due()[0].error
    assert not receiver.got


def test_a_mail_server_that_is_away(setup: Any, settings: Any) -> None:
    setup(email=["shop@example.com"])
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1"
    settings.EMAIL_PORT = 1
    found("shopper-1")
    assert "ConnectionRefusedError" in alerts.send_due()[0].error


def test_old_rows_go_but_what_was_told_is_not_told_again(setup: Any) -> None:
    setup(email=["shop@example.com"])
    for n in range(2):
        found(f"shopper-{n}")
        alerts.send_due(NOW - timedelta(days=200 - n))
    alerts.send_due(NOW)
    assert Alert.objects.count() == 1
    assert len(mail.outbox) == 2


def test_the_command(setup: Any, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="No alerts are set up"):
        call_command("alert", test=True)
    setup(webhook=receiver.url, email=["shop@example.com"])
    call_command("alert", test=True)
    told = capsys.readouterr().out
    assert "email to shop@example.com: sent" in told
    assert f"webhook to {receiver.url.partition('?')[0]}: sent" in told
    assert json.loads(receiver.got[0][1])["test"] is True
    assert not Alert.objects.exists()
    call_command("alert")
    assert "Nothing is due." in capsys.readouterr().out
    receiver.answer = receiver.say(500)
    with pytest.raises(CommandError, match="Not everything"):
        call_command("alert", test=True)
    assert "The webhook answered 500." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"no_such": 1}, "E032"),
        ({"email": "shop@example.com"}, "E032"),
        ({"email": ["shop@"]}, "E032"),
        ({"email": ["a@example.com\nBcc: b@example.com"]}, "E032"),
        ({"email": [None]}, "E032"),
        ({"webhook": "example.com"}, "E032"),
        ({"webhook": "ftp://example.com/"}, "E032"),
        ({"webhook": "http://example.com/"}, "E032"),
        ({"webhook": "https://[/"}, "E032"),
        ({"webhook": "https://user:word@example.com/"}, "E032"),
        ({"webhook": "https://example.com/\r\nX: y"}, "E032"),
        ({"webhook": 5}, "E032"),
        ({"site_url": "shop.example"}, "E032"),
        ({"an_hour": 0}, "E032"),
        ({"timeout_s": float("nan")}, "E032"),
        ({"from_probability": 2}, "E032"),
        ({"secret_variable": ""}, "E032"),
        ({"email": ["shop@example.com"]}, "E033"),
        ({"webhook": "https://example.com/"}, "E034"),
    ],
)
def test_check_refuses(settings: Any, values: dict[str, Any], code: str) -> None:
    settings.RECOMMENDER = {**settings.RECOMMENDER, "alerts": values}
    with pytest.raises(SystemCheckError, match=code):
        call_command("check")


def test_check_accepts(setup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    setup(email=["shop@example.com"], webhook="https://example.com/x", secret_variable="HOOK_SECRET")
    call_command("check")
    setup(webhook="http://example.com/", insecure_webhook=True, secret_variable="HOOK_SECRET")
    call_command("check")
    assert get_user_model().objects.count() == 0
