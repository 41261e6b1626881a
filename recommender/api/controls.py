"""What a visitor decides about their own recommendations."""

from datetime import datetime
from typing import Annotated, Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Body, Query, Router

from recommender.api.auth import INGEST, READ
from recommender.api.bodies import answer
from recommender.api.control_schemas import ControlsIn, ControlsOut, ForgetAnswer, UndoAnswer
from recommender.services import controls, people

router = Router(tags=["Controls"])

UserId = Annotated[str | None, Query(None, description="Your id of a user.", example="customer-1001")]
SessionId = Annotated[str | None, Query(None, description="Your id of an anonymous session.")]


@router.get("/visitors/controls", auth=READ, response=ControlsOut, summary="Read them", operation_id="get_controls")
def get_controls(request: HttpRequest, user_id: UserId = None, session_id: SessionId = None) -> HttpResponse:
    """What a visitor decided. Give either `user_id` or `session_id`; whoever decided nothing has the defaults."""
    return answer(_described(people.client_visitor_id(user_id, session_id)))


@router.patch(
    "/visitors/controls", auth=INGEST, response=ControlsOut, summary="Change them", operation_id="change_controls"
)
def change_controls(
    request: HttpRequest, changes: Body[ControlsIn], user_id: UserId = None, session_id: SessionId = None
) -> HttpResponse:
    """Changes what you send; the next answer goes by it. All of it is carried out or, where a part is not valid, none.

    The topics together, each item and each switch that changes are one step for undo.
    """
    visitor_id = people.client_visitor_id(user_id, session_id)
    with transaction.atomic():
        visitor = people.ensure(visitor_id)
        if changes.topics:
            controls.set_topics(visitor, changes.topics)
        for item_id in changes.ignore or ():
            controls.ignore(visitor, item_id)
        for item_id in changes.heed or ():
            controls.ignore(visitor, item_id, on=False)
        if changes.personalised is not None:
            controls.personalised(visitor, changes.personalised)
        if changes.private is not None:
            controls.private(visitor, changes.private)
    return answer(_described(visitor.pk))


@router.post(
    "/visitors/controls/reset",
    auth=INGEST,
    response=ControlsOut,
    summary="Reset a taste",
    operation_id="reset_taste",
)
def reset_taste(request: HttpRequest, user_id: UserId = None, session_id: SessionId = None) -> HttpResponse:
    """What the visitor did so far, and decided about topics and reasons, says nothing any more; the next answer is a
    newcomer's. Nothing is deleted, and undo takes it back."""
    visitor = people.ensure(people.client_visitor_id(user_id, session_id))
    controls.reset(visitor)
    return answer(_described(visitor.pk))


@router.post(
    "/visitors/controls/undo",
    auth=INGEST,
    response=UndoAnswer,
    summary="Take the latest change back",
    operation_id="undo_control",
)
def undo_control(request: HttpRequest, user_id: UserId = None, session_id: SessionId = None) -> HttpResponse:
    """One step back; repeat it for more. The latest twenty steps are kept."""
    visitor = people.ensure(people.client_visitor_id(user_id, session_id))
    undone = controls.undo(visitor) or None
    return answer({**_described(visitor.pk), "undone": undone})


@router.post(
    "/visitors/controls/forget-session",
    auth=INGEST,
    response=ForgetAnswer,
    summary="Forget a visit",
    operation_id="forget_session",
)
def forget_session(
    request: HttpRequest,
    user_id: UserId = None,
    session_id: SessionId = None,
    since: Annotated[
        datetime | None,
        Query(
            None, description="ISO 8601 with a zone. Default: when the present visit began, after half an hour's gap."
        ),
    ] = None,
) -> HttpResponse:
    """Deletes what was recorded of the visitor since then: private mode in retrospect. It cannot be taken back.

    Events of every kind go; orders and reviews stay. What a model has learned already goes with the next training.
    """
    visitor = people.ensure(people.client_visitor_id(user_id, session_id))
    return answer({"forgotten": controls.forget_session(visitor, since)})


def _described(visitor_id: str) -> dict[str, Any]:
    """control_schemas.ControlsOut of a visitor."""
    kept = controls.read(visitor_id)
    return {
        "personalised": kept.personalised,
        "private_since": kept.private_since,
        "reset_at": kept.reset_at,
        "topics": kept.topics,
        "ignored": sorted(kept.ignored),
        "undo": controls.undoable(visitor_id) or None,
    }
