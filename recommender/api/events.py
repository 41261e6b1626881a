"""Post what visitors did."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Body, Router

from recommender.api.auth import INGEST
from recommender.api.bodies import answer
from recommender.api.schemas import BatchAnswer, EventAnswer, EventBatch, EventBody
from recommender.services import events
from recommender.services.errors import InvalidInput

router = Router(tags=["Events"], auth=INGEST)


@router.post(
    "/events",
    response={201: EventAnswer, 200: EventAnswer},
    summary="Post one event",
    operation_id="post_event",
)
def post_event(request: HttpRequest, event: Body[EventBody]) -> HttpResponse:
    """Records one event. 201: recorded. 200: nothing changed, as it was there already, or as its visitor is in private
    mode (`not_recorded`). 422: refused, with the reason."""
    result = events.record_batch([event])
    if result.rejected:
        raise InvalidInput(result.rejected[0]["reason"])
    new = result.accepted == 1
    told = {"accepted": new, "duplicate": result.duplicates == 1}
    return answer(told | ({"not_recorded": True} if result.not_recorded else {}), 201 if new else 200)


@router.post(
    "/events/batch",
    response={200: BatchAnswer},
    summary="Post many events",
    operation_id="post_events",
)
def post_events(request: HttpRequest, batch: Body[EventBatch]) -> HttpResponse:
    """Records up to 1,000 events.

    A row that is not valid is listed with its reason, and the rest is kept. Rows of visitors in private mode are
    counted as `not_recorded` and dropped. accepted + duplicates + rejected + not_recorded is the number of rows that
    you sent. Sending the same batch again is safe.
    """
    rows: list[Any] = batch.events
    result = events.record_batch(rows)
    told = {"accepted": result.accepted, "duplicates": result.duplicates, "rejected": result.rejected}
    return answer(told | ({"not_recorded": result.not_recorded} if result.not_recorded else {}))
