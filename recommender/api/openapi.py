"""The OpenAPI document, completed: every problem that a route can answer, in the media type that it really has."""

from typing import Any

from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema

from recommender.api.problems import MEDIA_TYPE, RETRY_AFTER_S
from recommender.api.schemas import Problem

DESCRIPTION = """\
Post what visitors do, get what they may like next.

**Keys.** Every route but `/health` needs an API key in the header `X-API-Key` or as `Authorization: Bearer`. Keys are
made in the admin and have scopes: `ingest` posts events, `read` gets recommendations and items, `admin` does all that
and changes items, runs and what is live.

**The loop.** Every answer carries `rec_id`, `run_id`, `shelf` and, for each item, its `position`. Send them back with
the events that follow, so that every run is judged by what visitors did with it.

**Events are idempotent.** You make the `event_id`; sending it again changes nothing, so retry as often as you like.

**Errors** are RFC 9457 problem documents (`application/problem+json`). Go by `type`; show `detail`.
"""
TAGS = [
    {"name": "Events", "description": "Tell what visitors did. Scope `ingest`."},
    {"name": "Recommendations", "description": "What to show. Scope `read`. Answers without a trained model too."},
    {
        "name": "Search",
        "description": "By words, misspelled or not, by meaning and by taste; by photo and by sound. Scope `read`.",
    },
    {"name": "Items", "description": "The catalogue. Reading needs `read`, writing `admin`."},
    {
        "name": "Controls",
        "description": "What a visitor decides about their recommendations. Reading needs `read`, changing `ingest`.",
    },
    {"name": "Runs", "description": "Train, watch, publish, roll back. Scope `admin`."},
    {"name": "Health", "description": "For monitors. Open."},
]
MEANING = {
    400: "The body is not JSON, or the request cannot be understood.",
    401: "No key, or one that is not valid.",
    403: "The key does not have the scope for this.",
    404: "There is no such thing.",
    409: "It cannot be done as things stand.",
    411: "The body came in chunks, without a Content-Length.",
    413: "The body is too large.",
    422: "Something in the request is not valid; the detail says what and how to mend it.",
    429: "Too many requests in a short time, or too many that failed. Come back after Retry-After seconds.",
    500: "A fault on this side; the reference finds it in the log.",
    503: "The database does not answer, or too many ask for this at once. Send the same request again.",
}
HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: {"Retry-After": {"schema": {"type": "integer", "example": 30}}},
    503: {"Retry-After": {"schema": {"type": "integer", "example": RETRY_AFTER_S}}},
}


def completed(document: OpenAPISchema) -> OpenAPISchema:
    schema = Problem.model_json_schema(ref_template=REF_TEMPLATE)
    document["components"]["schemas"] |= {**schema.pop("$defs"), "Problem": schema}
    for operations in document["paths"].values():
        for operation in operations.values():
            _declare_problems(operation)
    return document


def _declare_problems(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    own = {status for status, response in responses.items() if status >= 400 and "Problem" not in str(response)}
    possible = {status for status in responses if status >= 400} | {500, 503}
    if "security" in operation:
        possible |= {401, 403, 429}
    if operation["parameters"]:
        possible |= {400, 422}
    if "requestBody" in operation:
        possible |= {400, 411, 413, 422}
    for status in sorted(possible - own):
        responses[status] = {
            "description": MEANING[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": REF_TEMPLATE.format(model="Problem")}}},
        }
        if status in HEADERS:
            responses[status]["headers"] = HEADERS[status]
