"""A small shop, keys of every scope, and a caller that holds every answer against the OpenAPI document."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import Resolver404, resolve

from recommender.api import api, schemas
from recommender.models import Category, Item, Run
from recommender.services import access, events, publishing, training
from recommender.services.run_monitor import RunMonitor

BASE = "/api/v1"
Call = Callable[..., HttpResponse]


@pytest.fixture(autouse=True)
def static_root(settings: Any, tmp_path: Path) -> None:
    """WhiteNoise warns where `collectstatic` has not run, and warnings are errors here."""
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()


@pytest.fixture(autouse=True)
def no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are carried out inside the test's transaction here, which a heartbeat's own connection does not see."""
    monkeypatch.setattr(RunMonitor, "_beat", lambda monitor: None)


@pytest.fixture
def shop(db: None) -> list[Item]:
    prints = Category.objects.create(slug="prints", name="Prints")
    Category.objects.create(slug="posters", name="Posters", parent=prints)
    Category.objects.create(slug="books", name="Books")
    return [
        Item.objects.create(id=item_id, title=title, category_id=category, price=Decimal(price))
        for item_id, title, category, price in (
            ("print-0042", "Harbour at dawn", "prints", "24.00"),
            ("print-0043", "Lighthouse, blue hour", "prints", "18.5"),
            ("poster-1", "Fish of the coast", "posters", "9"),
            ("book-1", "A year by the sea", "books", "12.99"),
        )
    ]


@pytest.fixture
def keys(db: None) -> dict[str, str]:
    return {scope: access.create(f"test {scope}", [scope])[1] for scope in ("ingest", "read", "admin")}


@cache
def document() -> dict[str, Any]:
    return json.loads(json.dumps(api.get_openapi_schema()))


def strict_json(content: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(content, parse_constant=refuse)


def conforms(method: str, path: str, response: HttpResponse) -> None:
    """The answer has a declared status, the declared media type and schema, and leaves no trace in the browser."""
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
    assert response["Cache-Control"] == "no-store"
    data, media_type = strict_json(response.content), response["Content-Type"]
    if response.status_code >= 400 and media_type == "application/problem+json":
        problem = schemas.Problem.model_validate_json(response.content)
        assert problem.status == response.status_code
        assert problem.title and problem.detail
        assert unquote(problem.instance) == response.wsgi_request.path
        assert problem.instance.isascii()
        assert "Traceback" not in response.content.decode()
    try:
        route = resolve(unquote(path)).route
    except Resolver404:
        return
    operations = document()["paths"].get("/" + re.sub(r"<(\w+)>", r"{\1}", route), {})
    if method.lower() not in operations:
        assert response.status_code in {404, 405, 413}
        return
    declared = operations[method.lower()]["responses"]
    assert str(response.status_code) in declared, f"{response.status_code} is not declared: {data}"
    content = declared[str(response.status_code)]["content"]
    assert media_type in content
    name = content[media_type]["schema"]["$ref"].rsplit("/", 1)[1]
    getattr(schemas, name).model_validate_json(response.content)


@pytest.fixture
def call(keys: dict[str, str]) -> Call:
    """call(method, path under /api/v1, body, scope) -> response, with its JSON as `.data`."""
    client = Client(enforce_csrf_checks=True)

    def call(method: str, path: str, body: Any = None, scope: str | None = "admin", **headers: str) -> HttpResponse:
        sent = {} if scope is None else {"X-API-Key": keys[scope]}
        content = body if isinstance(body, str | bytes) else "" if body is None else json.dumps(body)
        response = client.generic(
            method, BASE + path, content, content_type="application/json", headers={**sent, **headers}
        )
        conforms(method, BASE + path.split("?")[0], response)
        response.data = strict_json(response.content)
        return response

    return call


@pytest.fixture
def learned(shop: list[Item]) -> Run:
    """A shop where people who like one print like the other, and a run that has learned it and serves."""
    rows = [
        {"event_id": f"00000000-0000-4000-8000-{n:08d}{k:04d}", "kind": "purchase", "item_id": item_id}
        | {"user_id": f"customer-{n}", "occurred_at": 1_700_000_000 + 60 * n + k, "session": f"visit-{n}"}
        for n in range(40)
        for k, item_id in enumerate(("print-0042", "print-0043") if n % 2 else ("poster-1", "book-1"))
    ]
    assert events.record_batch(rows).accepted == 80
    return train()


def train(trainer: str = "als") -> Run:
    run = training.run(training.request(trainer, {}).pk)
    assert run is not None
    assert run.status in (Run.Status.SUCCEEDED, Run.Status.REFUSED), run.error
    publishing.publish(run.pk, "for the tests")
    return run
