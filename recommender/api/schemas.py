"""What goes in and comes out, as the documentation at /api/v1/docs shows it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from recommender.api.control_schemas import (  # noqa: F401  so that all are found in one place
    ControlsIn,
    ControlsOut,
    ForgetAnswer,
    UndoAnswer,
)
from recommender.api.describing import NO_NUL, REC_ID, documented
from recommender.api.recommendation_schemas import (  # noqa: F401
    AssistantAnswer,
    AssistantQuestion,
    Behind,
    PastEvent,
    Recommendations,
    RecommendedItem,
    SimilarItem,
    SimilarItems,
    Why,
)
from recommender.api.run_schemas import (  # noqa: F401
    PublicationOut,
    ReasonIn,
    RunIn,
    RunOut,
    RunPage,
)
from recommender.api.search_schemas import (  # noqa: F401
    FacetChoice,
    FoundItem,
    SearchAnswer,
    SearchFacet,
    SearchSuggestion,
    SuggestAnswer,
)
from recommender.models import Event
from recommender.models.ids import MAX_LENGTH
from recommender.services import event_fields, events

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
    not_recorded: bool = Field(False, description="Only where true: its visitor is in private mode, so it was dropped.")


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
    not_recorded: int = Field(0, description="Only where above 0: rows of visitors in private mode, dropped.")


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
