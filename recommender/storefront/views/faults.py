"""What a browser sees when a page fails."""

import logging
import sys

from django.http import HttpRequest, HttpResponse
from django.template import loader

from recommender.services.errors import TooMany, database_is_away

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5


def too_many(error: TooMany) -> HttpResponse:
    """More than a shopper can do: 429, with when to come back. Costs no query."""
    page = loader.get_template("429.html").render({"detail": error.detail})
    return HttpResponse(page, status=429, headers={"Retry-After": str(error.retry_after_s)})


def fault(request: HttpRequest) -> HttpResponse:
    """A database that is locked, read-only or away is nobody's fault: 503, try again. Anything else is ours: 500."""
    error = sys.exc_info()[1]
    if not database_is_away(error):
        return HttpResponse(loader.get_template("500.html").render(), status=500)
    log.warning("%s %s has to be asked again, the database does not answer: %s", request.method, request.path, error)
    page = loader.get_template("503.html").render()
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
