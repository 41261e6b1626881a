"""The API as Django mounts it: ninja's, with problem documents for what happens around its routes too."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.wsgi import WSGIRequest
from django.http import Http404, HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, re_path
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.errors import HttpError
from ninja.openapi.schema import OpenAPISchema

from recommender.api import openapi, problems, recommendations
from recommender.api.auth import sent_key
from recommender.api.bodies import LenientParser
from recommender.models import Access
from recommender.services import access
from recommender.services.screening import access_log, clients, velocity

OPEN = ("", "health", "docs", "openapi.json")  # asked by monitors and people, without a key
FAILURES = (401, 403, 404)  # no key, the wrong one, or a guess at what there is
UPLOADS = ("/search/photo", "/search/sound")
View = Callable[..., HttpResponseBase]


class Api(NinjaAPI):
    def __init__(self, **options: Any) -> None:
        super().__init__(parser=LenientParser(), **options)
        for error in (*problems.TABLE, HttpError):
            self.add_exception_handler(error, problems.respond)  # type: ignore[arg-type]  # it never passes a class

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        for pattern in patterns:
            if pattern.callback is not None:
                where = str(pattern.pattern)
                view = recommendations.quickly(pattern.callback) if where == "recommendations" else pattern.callback
                pattern.callback = self._guarded(view, where in OPEN)
        return [*patterns, re_path(r"", self._guarded(missing))], app_name, namespace

    def get_openapi_schema(self, **where: Any) -> OpenAPISchema:
        return openapi.completed(super().get_openapi_schema(**where))

    def _guarded(self, view: View, is_open: bool = False) -> View:
        """The view behind what every address shares: no endless body, no haste, no error page that is not a problem."""

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            key, client = sent_key(request), clients.client(request.META)
            target = str(kwargs.get("item_id") or "")
            response: HttpResponseBase
            try:
                check_length(request)
                target = target or request.GET.get("user_id") or request.GET.get("session_id") or ""
                if not is_open:
                    velocity.request(key, client, target)
                response = view(request, *args, **kwargs)
            except Exception as error:
                response = self.on_exception(request, error)
            if isinstance(response, HttpResponseNotAllowed):
                response = problems.method_not_allowed(request, response["Allow"])
            if not is_open:
                failed = response.status_code in FAILURES
                access_log.note(Access.Door.API, access.prefix_of(key), client, failed, target)
                if failed:
                    velocity.failed(client)
            return response

        return csrf_exempt(guarded)  # no cookie is read here, so none can be abused


def check_length(request: HttpRequest) -> None:
    """Raises RequestDataTooBig by the announced length, before a byte of the body is read, and LengthRequired."""
    announced = request.META.get("CONTENT_LENGTH") or ""
    # Uploads have limits of their own, checked where they are read.
    largest = None if request.path.endswith(UPLOADS) else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if not announced and "HTTP_TRANSFER_ENCODING" in request.META and isinstance(request, WSGIRequest):
        raise problems.LengthRequired  # under WSGI, Django would take the body for an empty one
    if largest is None or not (announced.isascii() and announced.isdigit()):
        return
    length = int(announced[:18])  # enough digits to be too large, few enough to be read
    if length > largest:
        raise RequestDataTooBig(f"It has {length:,} bytes; {largest:,} are accepted. Send smaller batches.")


def missing(request: HttpRequest) -> NoReturn:
    raise Http404
