"""The site's addresses and one more: a Django view that does nothing, for what a server and Django cost alone."""

import os
from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path

from recsite.urls import *  # noqa: F403
from recsite.urls import urlpatterns as of_the_site


@cache
def _bytes() -> bytes:
    return (Path(os.environ["RECSITE_VAR"]) / "bare.json").read_bytes()


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_bytes(), content_type="application/json")


urlpatterns: list[URLPattern | URLResolver] = [path("bare", bare), *of_the_site]
