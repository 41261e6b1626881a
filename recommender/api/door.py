"""The API as Django mounts it: ninja's, with problem documents for what happens around its routes too."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, re_path
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from recommender.api import openapi, problems
from recommender.api.bodies import LenientParser

View = Callable[..., HttpResponseBase]


class Api(NinjaAPI):
    def __init__(self, **options: Any) -> None:
        super().__init__(parser=LenientParser(), **options)
        for error in (*problems.TABLE, *self._exception_handlers):
            self.add_exception_handler(error, problems.respond)

    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        for pattern in patterns:
            pattern.callback = self._guarded(pattern.callback)
        return [*patterns, re_path(r"", self._guarded(missing))], app_name, namespace

    def get_openapi_schema(self, **where: Any) -> OpenAPISchema:
        return openapi.completed(super().get_openapi_schema(**where))

    def _guarded(self, view: View) -> View:
        """The view behind what every address shares: no endless body, and no error page that is not a problem."""

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                refuse_large_body(request)
                response = view(request, *args, **kwargs)
            except Exception as error:
                return self.on_exception(request, error)
            if isinstance(response, HttpResponseNotAllowed):
                return problems.method_not_allowed(request, response["Allow"])
            return response

        guarded.csrf_exempt = True  # type: ignore[attr-defined]  no cookie is read here, so none can be abused
        return guarded


def refuse_large_body(request: HttpRequest) -> None:
    """Raises RequestDataTooBig by the announced length, before a byte of the body is read."""
    announced, largest = request.META.get("CONTENT_LENGTH") or "0", settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if largest is not None and announced.isascii() and announced.isdigit() and int(announced) > largest:
        raise RequestDataTooBig(
            f"It has {int(announced):,} bytes; {largest:,} are accepted. Send the events in smaller batches."
        )


def missing(request: HttpRequest) -> NoReturn:
    raise Http404
