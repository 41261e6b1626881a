"""docs/api.md: every command in it is run, in order, and answers what the page says."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from recommender.api import problems
from recommender.models import Event, Item, Run
from recommender.services import access, event_fields, training
from tests import spaces

from .conftest import BASE, document, strict_json

pytestmark = [pytest.mark.django_db, pytest.mark.database]

GUIDE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCK = re.compile(r"```sh\n(?P<commands>.*?)```(?:\n```json\n(?P<answer>.*?)```)?", re.DOTALL)
FILES = {"photo.jpg": spaces.picture(), "humming.wav": spaces.tone()}
SITE = "http://localhost:8000"


def run(command: str, variables: dict[str, str]) -> Any:
    """Carry out one curl command as curl would: method, headers and body from its options."""
    for name, value in variables.items():
        command = command.replace(f"${name}", value)
    program, *words = shlex.split(command.replace("\\\n", " "))
    assert program == "curl"
    method, url, headers = "GET", "", {}
    body: str | bytes = ""
    while words:
        match words.pop(0):
            case "-s":
                pass
            case "-X":
                method = words.pop(0)
            case "-H":
                name, value = words.pop(0).split(": ")
                headers[name] = value
            case "-d":
                body = words.pop(0)
            case "--data-binary":
                body = FILES[words.pop(0).removeprefix("@")]
            case "-F":
                field, name = words.pop(0).split("=@")
                headers["Content-Type"] = MULTIPART_CONTENT
                body = encode_multipart(BOUNDARY, {field: SimpleUploadedFile(name, FILES[name])})
            case word:
                assert not word.startswith("-")
                url = word
    media_type = headers.pop("Content-Type", "application/x-www-form-urlencoded")
    assert media_type != "application/x-www-form-urlencoded" or not body
    return Client().generic(method, url.removeprefix(SITE), body, content_type=media_type, headers=headers)


def shape(value: Any) -> Any:
    """What two answers must have in common: the fields, and whether a value is text, number or nothing."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def same(shown: Any, answered: Any) -> bool:
    free = {"config", "counts", "metrics", "gate"}  # objects whose fields depend on the run
    return shape({k: v for k, v in shown.items() if k not in free}) == shape(
        {k: v for k, v in answered.items() if k not in free}
    )


def test_every_command_does_what_the_page_says(learned: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = {"print-0042": (1, 2, 9), "print-0043": (1, 3, 9), "book-1": (9, 1, 1)}
    image = spaces.space("image", pictures, spaces.IMAGE)
    spaces.install(monkeypatch, image, spaces.space("audio", {"book-1": (0, 1, 0, 0)}, spaces.AUDIO))
    Item.objects.filter(pk="print-0042").update(title="Before", creator="")
    variables = {"RECSITE": SITE + BASE, "KEY": access.create("guide", ["admin"])[1]}
    seen: set[tuple[str, str]] = set()
    for block in BLOCK.finditer(GUIDE):
        commands = re.findall(r"^curl(?:\\\n|[^'\n]|'[^']*')*", block["commands"], re.MULTILINE)
        assert commands or "export" in block["commands"]
        for command in commands:
            response = run(command, variables)
            answered = strict_json(response.content)
            seen.add((response.wsgi_request.method, response.wsgi_request.path))
            expected = json.loads(block["answer"]) if block["answer"] else {}
            if str(expected.get("type")).startswith("/problems/"):
                assert response.status_code == expected["status"]
            else:
                assert response.status_code < 300, (command, answered)
            if expected:
                assert same(expected, answered), (command, answered)
            if expected.get("status") == "queued":
                variables["RUN"] = str(answered["run_id"])
                assert training.run(answered["run_id"]) is not None  # the worker's part
    assert Event.objects.filter(visitor_id__in=["customer-1001", "session:web-77"]).count() == 3
    routes = {(method.upper(), path) for path, operations in document()["paths"].items() for method in operations}
    shown = {
        (method, re.sub(r"/runs/\d+", "/runs/{run_id}", re.sub(r"/items/[^/]+", "/items/{item_id}", path)))
        for method, path in seen
    }
    assert routes == shown


def test_the_page_lists_every_problem() -> None:
    listed = dict(re.findall(r"\| `/problems/([a-z-]+)` \| (\d+) \|", GUIDE))
    assert listed == {kind.slug: str(kind.status) for kind in problems.KINDS}


def test_the_page_names_every_field_of_an_event() -> None:
    fields = GUIDE.split("| `event_id` |")[1].split("Many at once")[0] + "`event_id`"
    assert set(event_fields.FIELDS) <= set(re.findall(r"`([a-z_]+)`", fields))
