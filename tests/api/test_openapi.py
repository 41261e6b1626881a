"""The OpenAPI document is one that tools can read, its examples are true, and its page needs no internet."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from pydantic import BaseModel

from recommender.api import openapi, schemas
from recommender.api.auth import WHERE, BearerToken

from .conftest import BASE, document

BARE = {"cancel", "reset", "undo", "forget-session"}  # which say all in their address
STATUS = re.compile(r"[1-5][0-9][0-9]")
OPERATIONS = [
    (method, path, operation)
    for path, operations in document().get("paths", {}).items()
    for method, operation in operations.items()
]
MODELS = [
    model
    for model in vars(schemas).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel
]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def test_the_frame() -> None:
    whole = document()
    assert whole["openapi"].startswith("3.1")
    assert {"title", "version", "description"} <= set(whole["info"])
    assert {tag["name"] for tag in whole["tags"]} == {operation["tags"][0] for _, _, operation in OPERATIONS}
    assert whole["components"]["securitySchemes"] == {
        "ApiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": WHERE},
        "BearerToken": {"type": "http", "scheme": "bearer", "description": BearerToken.openapi_description},
    }


def test_every_reference_leads_somewhere() -> None:
    components = document()["components"]["schemas"]
    references = {part["$ref"] for part in walk(document()) if "$ref" in part}
    assert references
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(components)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    in_path = set(re.findall(r"{(\w+)}", path))
    assert {p["name"] for p in operation["parameters"] if p["in"] == "path"} == in_path
    for parameter in operation["parameters"]:
        assert parameter["description"]
        assert parameter["required"] is (parameter["in"] == "path")
        assert "examples" not in parameter  # ninja would write a list where OpenAPI wants a map
    assert ("requestBody" in operation) is (method in {"post", "put", "patch"} and path.rsplit("/", 1)[1] not in BARE)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_answer_is_declared(method: str, path: str, operation: dict[str, Any]) -> None:
    declared = set(operation["responses"])
    assert all(STATUS.fullmatch(status) for status in declared)
    assert {"500", "503"} <= declared
    if "security" in operation:
        assert {"401", "403"} <= declared
    if operation["parameters"]:
        assert "422" in declared
    if "requestBody" in operation:
        assert {"400", "411", "413", "422"} <= declared
    for status, response in operation["responses"].items():
        assert response["description"]
        [media_type] = response["content"]
        if status >= "400" and path != f"{BASE}/health":
            assert media_type == "application/problem+json"


def test_operation_ids_are_short_and_unique() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_examples_are_valid(model: type[BaseModel]) -> None:
    examples = model.model_json_schema()["examples"]
    assert examples
    for example in examples:
        model.model_validate_json(json.dumps(example))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_bodies_and_answers_are_strict(model: type[BaseModel]) -> None:
    if model is not schemas.Problem:
        assert (model.model_config["strict"], model.model_config["extra"]) == (True, "forbid")


def test_the_description_names_every_scope() -> None:
    assert all(f"`{scope}`" in openapi.DESCRIPTION for scope in ("ingest", "read", "admin"))


@pytest.mark.django_db
def test_the_page_needs_no_internet() -> None:
    page = Client().get(f"{BASE}/docs")
    assert page.status_code == 200
    assert not page.cookies
    html = page.content.decode()
    assert "//" not in re.sub(r"<!--.*?-->", "", html).replace('"/static', "")
    linked = re.findall(r'(?:src|href)="/static/([^"]+)"', html)
    assert {"ninja/swagger-ui.css", "ninja/swagger-ui-bundle.js", "ninja/swagger-ui-init.js"} <= set(linked)
    assert all(finders.find(path) for path in linked)
    [given] = re.findall(r'id="swagger-settings">(.*?)</script>', html, re.DOTALL)
    assert json.loads(given)["validatorUrl"] is None
    assert json.loads(given)["url"] == f"{BASE}/openapi.json"


@pytest.mark.django_db
def test_the_document_is_served() -> None:
    response = Client().get(f"{BASE}/openapi.json")
    assert response.json() == document()
    assert not response.cookies
