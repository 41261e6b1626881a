"""Errors as RFC 9457 problem documents. One table says which error is which problem."""

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.utils.encoding import escape_uri_path
from ninja.errors import HttpError, ValidationError

from recommender.engine import errors as engine_errors
from recommender.engine.errors import RecommenderError
from recommender.services import errors as service_errors

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
SHOWN_ERRORS = 20  # of one body; the first few say what to mend
CHALLENGE = 'Bearer realm="recsite API"'


class LengthRequired(Exception):
    """The request has a body without a Content-Length."""


@dataclass(frozen=True)
class Kind:
    status: int
    slug: str
    title: str = ""
    """Empty: the docstring of the error, which is its message."""


TABLE: dict[type[Exception], Kind] = {
    # What services and the engine refuse.
    service_errors.InvalidApiKey: Kind(401, "invalid-api-key"),
    service_errors.MissingScope: Kind(403, "missing-scope"),
    service_errors.UnknownItem: Kind(404, "unknown-item"),
    service_errors.UnknownRun: Kind(404, "unknown-run"),
    service_errors.UnknownCategory: Kind(404, "unknown-category"),
    service_errors.RunActive: Kind(409, "run-active"),
    service_errors.RunNotPublishable: Kind(409, "run-not-publishable"),
    service_errors.NothingToRollBackTo: Kind(409, "nothing-to-roll-back-to"),
    engine_errors.ArtifactMissing: Kind(409, "artifact-missing"),
    engine_errors.ArtifactDamaged: Kind(409, "artifact-damaged"),
    service_errors.InvalidInput: Kind(422, "invalid-input"),
    engine_errors.InvalidConfig: Kind(422, "invalid-config"),
    engine_errors.UnknownName: Kind(422, "unknown-name"),
    engine_errors.Unreadable: Kind(422, "unreadable"),
    service_errors.UploadTooLarge: Kind(413, "upload-too-large"),
    service_errors.NotPrepared: Kind(409, "not-prepared"),
    service_errors.TooMany: Kind(429, "too-many-requests"),
    service_errors.Busy: Kind(503, "busy"),
    service_errors.Refused: Kind(409, "refused"),
    # What the web and the database raise.
    ValidationError: Kind(422, "invalid-request", "The request is not valid."),
    UnreadablePostError: Kind(400, "unreadable-body", "The body could not be read."),
    SuspiciousOperation: Kind(400, "bad-request", "The request cannot be understood."),
    LengthRequired: Kind(411, "length-required"),
    RequestDataTooBig: Kind(413, "body-too-large", "The body is too large."),
    Http404: Kind(404, "not-found", "There is nothing at this address."),
    IntegrityError: Kind(409, "conflict", "Another request changed the same thing at the same moment."),
    OperationalError: Kind(503, "database-unavailable", "The database does not answer."),
    InterfaceError: Kind(503, "database-unavailable", "The database does not answer."),
    Exception: Kind(500, "internal-error", "Something went wrong on this side."),
}
MALFORMED_JSON = Kind(400, "malformed-json", "The body is not JSON.")
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "This address does not take this method.")
KINDS = (*TABLE.values(), MALFORMED_JSON, METHOD_NOT_ALLOWED)
TITLES = {
    TABLE[error].slug: TABLE[error].title or cleandoc(error.__doc__ or error.__name__).splitlines()[0]
    for error in TABLE
} | {kind.slug: kind.title for kind in (MALFORMED_JSON, METHOD_NOT_ALLOWED)}


def kind_of(error: Exception) -> Kind:
    """The row of the table for this error: its own or its nearest ancestor's."""
    if service_errors.database_is_away(error):
        return TABLE[OperationalError]
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def respond(request: HttpRequest, error: Exception) -> HttpResponse:
    """Any exception as a problem; registered for all of them."""
    if isinstance(error, HttpError):
        return _from_ninja(request, error)
    kind = kind_of(error)
    if kind.status >= 500 and not isinstance(error, RecommenderError):
        return _fault(request, kind, error)
    if isinstance(error, ValidationError):
        found = [_field(item) for item in error.errors]
        detail = "; ".join(f"{_name(item)}: {item['detail']}" for item in found[:3])
        return problem(request, kind, detail, errors=found[:SHOWN_ERRORS])
    if isinstance(error, RecommenderError):
        # Only what a client can act on; other context is for the log.
        members = {name: error.context[name] for name in ("run_id",) if name in error.context}
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, service_errors.TooMany) else {}
        return problem(request, kind, error.detail, headers=headers, **members)
    if isinstance(error, RequestDataTooBig):
        return problem(request, kind, str(error))
    if isinstance(error, Http404):
        return problem(request, kind, "See /api/v1/docs for the addresses; none of them ends with a slash.")
    if isinstance(error, IntegrityError):
        log.warning("%s %s met a conflict: %s", request.method, request.path, error)
        return problem(request, kind, "Send it again.")
    return problem(request, kind)


def problem(
    request: HttpRequest,
    kind: Kind,
    detail: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> HttpResponse:
    """The response itself. `members` are the problem's own further fields."""
    document = {
        "type": f"/problems/{kind.slug}" if kind.slug else "about:blank",
        "title": TITLES.get(kind.slug) or kind.title,
        "status": kind.status,
        "detail": detail or TITLES.get(kind.slug) or kind.title,
        "instance": escape_uri_path(request.path),
        **members,
    }
    sent = {"Cache-Control": "no-store", **(headers or {})}
    if kind.status == 401:
        sent["WWW-Authenticate"] = CHALLENGE
    if kind.status == 503:
        sent["Retry-After"] = str(RETRY_AFTER_S)
    return HttpResponse(json.dumps(document), status=kind.status, content_type=MEDIA_TYPE, headers=sent)


def method_not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    methods = ", ".join(sorted(method.strip() for method in allowed.split(",")))
    detail = f"{request.method} is not among its methods: {methods}."
    return problem(request, METHOD_NOT_ALLOWED, detail, headers={"Allow": methods})


def _from_ninja(request: HttpRequest, error: HttpError) -> HttpResponse:
    status = error.status_code
    if status == 401:
        detail = "Send a key made in the admin in the header X-API-Key, or as a bearer token."
        return problem(request, TABLE[service_errors.InvalidApiKey], detail)
    if status == 400 and isinstance(error.__cause__, ValueError | RecursionError):
        cause = error.__cause__
        where = f"{cause.msg} at character {cause.pos}." if isinstance(cause, json.JSONDecodeError) else ""
        return problem(request, MALFORMED_JSON, where or "It must be UTF-8 and not nested too deeply.")
    return problem(request, Kind(status, "", HTTPStatus(status).phrase), str(error))


def _fault(request: HttpRequest, kind: Kind, error: Exception) -> HttpResponse:
    """A fault of this side: everything goes to the log, the client gets a reference to find it by."""
    reference = uuid.uuid4().hex[:12]
    trace = error if kind.status == 500 else None  # a database that is busy or away needs no trace to be understood
    log.error("%s %s failed, reference %s: %s", request.method, request.path, reference, error, exc_info=trace)
    detail = f"It is in the log under reference {reference}."
    if kind.status == 503:
        detail = f"Send the same request again in {RETRY_AFTER_S} seconds. {detail}"
    return problem(request, kind, detail, reference=reference)


def _field(error: Mapping[str, Any]) -> dict[str, str]:
    """One of ninja's validation errors as {pointer or parameter, detail}, without what was sent."""
    place, *path = error["loc"]
    detail = str(error["msg"])
    if place == "body":
        # The first step is the name of the view's argument, which the client has never seen.
        steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path[1:]]
        return {"pointer": "#" + "".join(f"/{step}" for step in steps), "detail": detail}
    return {"parameter": ".".join(str(step) for step in path), "detail": detail}


def _name(field: Mapping[str, str]) -> str:
    return field.get("parameter") or field["pointer"].removeprefix("#/").removeprefix("#") or "the body"
