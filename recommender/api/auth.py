"""Who may call what: an API key in a header, and the scope that the route needs."""

from collections.abc import Callable, Sequence

from django.http import HttpRequest
from ninja.security import APIKeyHeader, HttpBearer

from recommender.models import ApiKey
from recommender.services import access

WHERE = "Made in the admin under API keys; shown once, kept as a hash."


class _Scoped:
    """What both headers share. A key that is sent but not valid is refused at once, not tried as the other kind."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        if not key:
            return None
        found = access.authenticate(key.strip())
        access.require(found, self.scope)
        return found


class ApiKeyHeader(_Scoped, APIKeyHeader):
    param_name = "X-API-Key"
    openapi_name = "X-API-Key"
    openapi_description = WHERE


class BearerToken(_Scoped, HttpBearer):
    openapi_description = f"The same key as a bearer token. {WHERE}"


def needs(scope: str) -> Sequence[Callable[[HttpRequest], ApiKey | None]]:
    """The `auth` of a route: either header, with a key that has this scope."""
    return [ApiKeyHeader(scope), BearerToken(scope)]


INGEST = needs(ApiKey.Scope.INGEST)
READ = needs(ApiKey.Scope.READ)
ADMIN = needs(ApiKey.Scope.ADMIN)


def sent_key(request: HttpRequest) -> str:
    """The key that a request came with, valid or not."""
    kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return (request.META.get("HTTP_X_API_KEY") or (token if kind.lower() == "bearer" else "")).strip()


def caller(request: HttpRequest) -> ApiKey:
    """The key that this request was let in with."""
    key = request.auth  # type: ignore[attr-defined]  # ninja puts there what `authenticate` returned
    assert isinstance(key, ApiKey)
    return key
