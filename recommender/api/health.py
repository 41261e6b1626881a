"""For monitors: open, quick, and without a word that helps a stranger."""

import logging

from django.db import Error
from django.http import HttpRequest, HttpResponse
from ninja import Router

from recommender.api.bodies import answer
from recommender.api.problems import RETRY_AFTER_S
from recommender.api.schemas import Health
from recommender.services import serving

log = logging.getLogger(__name__)
router = Router(tags=["Health"])


@router.get("/health", response={200: Health, 503: Health}, summary="Is it well?", operation_id="health")
def health(request: HttpRequest) -> HttpResponse:
    """200 while recommendations are served, from a model or from what is popular; 503 while the database is away.

    The broker is not asked: nothing that is served here needs it.
    """
    try:
        live = serving.live()
    except Error as error:
        log.warning("The database does not answer: %s", error)
        found = {"status": "degraded", "live_run": None, "model": False, "database": False}
        return answer(found, 503, {"Retry-After": str(RETRY_AFTER_S)})
    opened = live.model is not None
    well = opened or live.run_id is None
    return answer({"status": "ok" if well else "degraded", "live_run": live.run_id, "model": opened, "database": True})
