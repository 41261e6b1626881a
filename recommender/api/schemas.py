"""What goes in and comes out, as the documentation at /api/v1/docs shows it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from recommender.models import Event, Run
from recommender.models.ids import MAX_LENGTH
from recommender.services import event_fields, events, publishing

NO_NUL = r"^[^\x00]*$"  # PostgreSQL stores no NUL character
LARGEST = 2**53  # integers beyond it change on their way through JavaScript
REC_ID = "0f4e7c1e-58a5-4f5c-9d0b-3a8f6f1f0c11"
ITEM = {
    "item_id": "print-0042",
    "title": "Harbour at dawn",
    "creator": "A. Marsh",
    "description": "A risograph print in three colours.",
    "category": "prints",
    "price": "24.00",
    "stock": 12,
    "attributes": {"format": "A3", "signed": True},
    "active": True,
    "image": "/media/pictures/print-0042.webp",
    "added_at": "2026-03-02T09:00:00Z",
    "updated_at": "2026-04-01T10:30:00Z",
}


def documented(*examples: dict[str, Any], **schema: Any) -> ConfigDict:
    """Strict: true is not 1, and an unknown field is a typing error that somebody wants to hear about."""
    return ConfigDict(strict=True, extra="forbid", json_schema_extra={"examples": list(examples), **schema})


# Events -------------------------------------------------------------------------------------------------------------

Kind = Literal["impression", "view", "click", "like", "dislike", "cart", "purchase", "rating"]
EVENT = {
    "event_id": "b3f1c1de-8f3f-4a52-9d51-3c7a4d0f7a10",
    "kind": "purchase",
    "user_id": "customer-1001",
    "item_id": "print-0042",
    "value": 2,
    "occurred_at": "2026-05-04T12:30:00Z",
    "rec_id": REC_ID,
    "run_id": 7,
    "shelf": "for-you",
    "position": 3,
}


class EventIn(BaseModel):
    """One thing one visitor did with one item.

    Documentation only: the fields are checked by services.events, one row at a time, with a reason for each refusal.
    """

    model_config = documented(EVENT, oneOf=[{"required": ["user_id"]}, {"required": ["session_id"]}])

    event_id: UUID = Field(description="A UUID that you make, once per event. Repeat it when you retry.")
    kind: Kind
    item_id: str = Field(min_length=1, max_length=MAX_LENGTH, description="An item of the catalogue.")
    user_id: str | None = Field(None, min_length=1, max_length=MAX_LENGTH, description="Your id of a known user.")
    session_id: str | None = Field(
        None, min_length=1, max_length=MAX_LENGTH - 8, description="Your id of an anonymous session."
    )
    value: float | None = Field(
        None,
        description="Stars of a rating, 1 to 5 (required there); quantity of a cart or purchase event.",
        allow_inf_nan=False,
    )
    occurred_at: datetime | int | float | None = Field(
        None, description="ISO 8601 with a zone, or Unix seconds. Not in the future, not before 1990. Default: now."
    )
    session: str | None = Field(None, max_length=64, description="The visit, basket or order that it belongs to.")
    rec_id: UUID | None = Field(None, description="From the answer that showed the item.")
    run_id: int | None = Field(None, description="From the same answer.")
    shelf: str | None = Field(None, max_length=32, description="From the same answer.")
    position: int | None = Field(None, ge=1, le=event_fields.MAX_POSITION, description="From the same answer.")


EVENT_SCHEMA = EventIn.model_json_schema() | {"title": "Event"}
EventBody = Annotated[dict[str, Any], WithJsonSchema(EVENT_SCHEMA)]


class EventBatch(BaseModel):
    model_config = documented(
        {"events": [EVENT, {**EVENT, "event_id": "7c0d6a52-0a0e-4ce4-b4b4-0c31a4b0a1d2", "kind": "teleport"}]}
    )

    # Any, so that a row of any shape is a rejected row and never a refused batch.
    events: list[Annotated[Any, WithJsonSchema(EVENT_SCHEMA)]] = Field(
        description=f"At most {events.MAX_BATCH:,} events.", json_schema_extra={"maxItems": events.MAX_BATCH}
    )


class EventAnswer(BaseModel):
    model_config = documented({"accepted": True, "duplicate": False})

    accepted: bool = Field(description="Whether this request recorded the event.")
    duplicate: bool = Field(description="Whether an event with this event_id was there already; nothing changed then.")


class RejectedEvent(BaseModel):
    model_config = documented(
        {"index": 1, "event_id": "7c0d6a52-0a0e-4ce4-b4b4-0c31a4b0a1d2", "reason": "kind must be one of view, click."}
    )

    index: int = Field(description="Place in your list, from 0.")
    event_id: str | None
    reason: str = Field(description="What is wrong and how to mend it.")


class BatchAnswer(BaseModel):
    model_config = documented(
        {
            "accepted": 1,
            "duplicates": 0,
            "rejected": [
                {
                    "index": 1,
                    "event_id": "7c0d6a52-0a0e-4ce4-b4b4-0c31a4b0a1d2",
                    "reason": f"kind must be one of {', '.join(Event.Kind.values)}.",
                }
            ],
        }
    )

    accepted: int
    duplicates: int
    rejected: list[RejectedEvent]


# Recommendations ----------------------------------------------------------------------------------------------------

Tier = Literal["model", "similar", "together", "popular", "catalogue"]
RECOMMENDED = {
    "item_id": "print-0042",
    "title": "Harbour at dawn",
    "score": 0.8312,
    "position": 1,
    "reason": "Because you bought Lighthouse, blue hour",
    "price": "24.00",
    "category": "prints",
    "image": "/media/pictures/print-0042.webp",
}


class RecommendedItem(BaseModel):
    model_config = documented(RECOMMENDED)

    item_id: str
    title: str
    score: float = Field(description="Higher is better. Comparable within one answer only.")
    position: int = Field(ge=1)
    reason: str = Field(description="Why this item, in words for the visitor.")
    price: str | None = Field(description="A decimal number as text, so that no digit is lost; null on request.")
    category: str | None
    image: str | None = Field(description="Address of the picture on this site.")


class Recommendations(BaseModel):
    model_config = documented(
        {
            "rec_id": REC_ID,
            "run_id": 7,
            "tier": "model",
            "shelf": "for-you",
            "title": "Picked for you",
            "items": [RECOMMENDED],
        }
    )

    rec_id: UUID = Field(description="This answer's id. Send it back with the events that follow from it.")
    run_id: int | None = Field(description="The training run that made it; null where no model was needed or live.")
    tier: Tier = Field(
        description="Who served: the personal model, similar items, items bought together, popular items, "
        "or the newest of the catalogue where nothing is known yet."
    )
    shelf: str
    title: str = Field(description="A heading for the row.")
    items: list[RecommendedItem] = Field(description="Best first; may be fewer than asked for, or none.")


# Items --------------------------------------------------------------------------------------------------------------


class ItemIn(BaseModel):
    """What is left out stays as it is; a new item needs at least a title."""

    model_config = documented(
        {name: ITEM[name] for name in ("title", "creator", "category", "price", "stock", "attributes")}
    )

    title: str = Field("", min_length=1, max_length=300, pattern=NO_NUL)
    creator: str = Field("", max_length=200, pattern=NO_NUL, description="Author, artist or maker.")
    description: str = Field("", max_length=50_000, pattern=NO_NUL)
    category: str | None = Field(
        None, pattern=r"^[-a-zA-Z0-9_]{1,64}$", description="A slug; an unknown one is made. null: none."
    )
    price: Annotated[Decimal, Field(strict=False, ge=0, max_digits=10, decimal_places=2)] | None = Field(
        None, description="A number, or better a decimal as text. null: on request, cannot be bought."
    )
    stock: int | None = Field(None, ge=0, le=2**31 - 1, description="null: not counted, always available.")
    attributes: dict[str, JsonValue] = Field(default_factory=dict, description="Anything else that you know of it.")
    active: bool = Field(True, description="false takes it off the shelves and out of every recommendation.")


class ItemOut(BaseModel):
    model_config = documented(ITEM)

    item_id: str
    title: str
    creator: str
    description: str
    category: str | None
    price: str | None
    stock: int | None
    attributes: dict[str, Any]
    active: bool
    image: str | None
    added_at: datetime
    updated_at: datetime


# Runs ---------------------------------------------------------------------------------------------------------------

Number = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Text = Annotated[str, Field(max_length=200, pattern=NO_NUL)]
Setting = bool | Whole | Number | Text | None


class RunIn(BaseModel):
    model_config = documented({"trainer": "als", "config": {"factors": 64}, "reason": "after the spring catalogue"})

    trainer: str | None = Field(None, max_length=32, pattern=NO_NUL, description="Default: the site's own.")
    config: dict[str, Setting | list[Setting]] | None = Field(
        None, description="Settings of the trainer that differ from its defaults. Left out: the site's own."
    )
    reason: str = Field("", max_length=Run.MAX_REASON, pattern=NO_NUL)


class ReasonIn(BaseModel):
    model_config = documented({"reason": "better recall on new shoppers"})

    reason: str = Field(
        min_length=1, max_length=publishing.MAX_REASON, pattern=NO_NUL, description="Kept in the history."
    )


Status = Literal["queued", "running", "succeeded", "refused", "failed", "cancelled"]
RUN = {
    "run_id": 7,
    "status": "running",
    "live": False,
    "trainer": "als",
    "config": {"factors": 64},
    "requested_by": "API key: nightly job",
    "reason": "after the spring catalogue",
    "stage": "fit",
    "share_done": 0.45,
    "message": "iteration 9 of 15",
    "error": "",
    "counts": {},
    "metrics": {},
    "gate": {},
    "created_at": "2026-05-04T03:30:00Z",
    "started_at": "2026-05-04T03:30:01Z",
    "finished_at": None,
}


class RunOut(BaseModel):
    model_config = documented(RUN)

    run_id: int
    status: Status
    live: bool = Field(description="Whether it serves now.")
    trainer: str
    config: dict[str, Any]
    requested_by: str
    reason: str
    stage: str
    share_done: float = Field(ge=0, le=1)
    message: str
    error: str = Field(description="Why it failed.")
    counts: dict[str, Any] = Field(description="Events, users and items it learned from.")
    metrics: dict[str, Any]
    gate: dict[str, Any] = Field(description="What the gate found when it compared the run with the live one.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RunPage(BaseModel):
    model_config = documented({"count": 1, "runs": [RUN], "next": None})

    count: int = Field(description="Runs in all.")
    runs: list[RunOut] = Field(description="The latest first.")
    next: str | None = Field(description="Address of the next page.")


class PublicationOut(BaseModel):
    model_config = documented(
        {
            "action": "publish",
            "run_id": 7,
            "previous_run_id": 6,
            "reason": "better recall on new shoppers",
            "at": "2026-05-04T08:00:00Z",
        }
    )

    action: Literal["publish", "roll_back", "withdraw"]
    run_id: int | None = Field(description="The run that serves from now on.")
    previous_run_id: int | None
    reason: str
    at: datetime


# Health and problems ------------------------------------------------------------------------------------------------


class Health(BaseModel):
    model_config = documented({"status": "ok", "live_run": 7, "model": True, "database": True})

    status: Literal["ok", "degraded"] = Field(
        description="degraded: the database does not answer, or a run is live whose model cannot be opened."
    )
    live_run: int | None
    model: bool = Field(description="Whether a model serves; without one, popular items do.")
    database: bool


class FieldProblem(BaseModel):
    model_config = documented({"pointer": "#/price", "detail": "Input should be a finite number"})

    detail: str
    pointer: str | None = Field(None, description="JSON pointer into the body.")
    parameter: str | None = Field(None, description="Name of a query or path parameter.")


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/unknown-item",
                    "title": "There is no such item.",
                    "status": 404,
                    "detail": "'print-9999'.",
                    "instance": "/api/v1/items/print-9999/similar",
                }
            ]
        }
    )

    type: str = Field(description="/problems/ and a stable name that programs can go by, or about:blank.")
    title: str = Field(description="The same for every occurrence.")
    status: int
    detail: str = Field(description="This occurrence, and how to mend it.")
    instance: str = Field(description="The address that was asked for.")
    errors: list[FieldProblem] | None = Field(None, description="Each field that is not valid.")
    run_id: int | None = Field(None, description="The run that is in the way.")
    reference: str | None = Field(None, description="Of a fault on this side: what to look for in the log.")


assert set(Event.Kind.values) == set(get_args(Kind))
assert set(Run.Status.values) == set(get_args(Status))
