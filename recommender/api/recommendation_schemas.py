"""What recommendations over the API answer; see schemas."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from recommender.api.describing import NO_NUL, REC_ID, documented
from recommender.models.ids import MAX_LENGTH
from recommender.services.assistant.replies import MAX_STATE
from recommender.services.assistant.wish import MAX_LENGTH as MAX_MESSAGE

Tier = Literal[
    "model", "segment", "search", "similar", "together", "content", "trending", "popular", "catalogue", "disk"
]
RECOMMENDED = {
    "item_id": "print-0042",
    "title": "Harbour at dawn",
    "score": 0.8312,
    "position": 1,
    "reason": "Because you bought Lighthouse, blue hour",
    "source": "model",
    "rules": [],
    "chance": None,
    "price": "24.00",
    "category": "prints",
    "image": "/media/pictures/print-0042.webp",
}


PAST = {"item_id": "print-0007", "title": "Lighthouse, blue hour", "verb": "bought", "share": 0.62}


class PastEvent(BaseModel):
    model_config = documented(PAST)

    item_id: str
    title: str
    verb: str = Field(description="What the visitor did with it: bought, liked, looked at, ...")
    share: float = Field(ge=0, le=1, description="Its part of all that speaks for the recommendation.")


class Behind(BaseModel):
    model_config = documented({"exact": True, "events": [PAST]})

    exact: bool = Field(description="Whether shares are parts of the model's own sum; otherwise an attribution.")
    events: list[PastEvent] = Field(description="The weightiest first; none where nothing the visitor did counts.")


class RecommendedItem(BaseModel):
    model_config = documented(RECOMMENDED)

    item_id: str
    title: str
    score: float = Field(description="Higher is better. Comparable within one answer only.")
    position: int = Field(ge=1)
    reason: str = Field(description="Why this item, in words for the visitor.")
    source: str | None = Field(description="Which source of candidates it came from, where there are several.")
    rules: list[str] = Field(description="Names of the shop's rules that acted on it.")
    chance: float | None = Field(description="Probability with which it was drawn for its place; null if it was not.")
    behind: Behind | None = Field(None, description="Only with `explain=true`.")
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
            "variant": None,
            "items": [RECOMMENDED],
        }
    )

    rec_id: UUID = Field(description="This answer's id. Send it back with the events that follow from it.")
    run_id: int | None = Field(description="The training run that made it; null where no model was needed or live.")
    tier: Tier = Field(
        description="Who served: the personal model, what is popular with shoppers alike, a search, similar items, "
        "items bought together, items alike by what they are, what is trending, popular items, the newest of the "
        "catalogue where nothing is known yet, or a list on disk where the database cannot be read."
    )
    shelf: str
    title: str = Field(description="A heading for the row.")
    variant: str | None = Field(description="experiment/variant that the visitor takes part in.")
    items: list[RecommendedItem] = Field(description="Best first; may be fewer than asked for, or none.")


class AssistantQuestion(BaseModel):
    model_config = documented({"message": "a gift for someone who likes the sea, under 20", "user_id": "customer-1001"})

    message: str = Field(min_length=1, max_length=MAX_MESSAGE, pattern=NO_NUL, description="In plain words.")
    state: str = Field("", max_length=MAX_STATE, description="From the answer before, to refine it.")
    user_id: str | None = Field(None, min_length=1, max_length=MAX_LENGTH, description="Whose taste may order it.")
    session_id: str | None = Field(None, min_length=1, max_length=MAX_LENGTH - 8, description="Or an anonymous one's.")


class AssistantAnswer(Recommendations):
    model_config = documented(
        {
            "rec_id": REC_ID,
            "run_id": None,
            "tier": "search",
            "shelf": "assistant",
            "title": "For your wish",
            "variant": None,
            "items": [{**RECOMMENDED, "reason": "Speaks of sea"}],
            "text": "One piece for “sea”, up to £20.00:",
            "state": "eyJ3b3JkcyI6InNlYSJ9:1w...",
            "suggestions": ["Under £15", "Only Prints"],
        }
    )

    text: str = Field(description="The answer in words.")
    state: str = Field(description="Send it with the next message to refine this one.")
    suggestions: list[str] = Field(description="Messages that may follow.")


WHY = {"shoppers": True, "creator": False, "category": True, "words": ["harbour"], "text": 0.71, "image": 0.42}


class Why(BaseModel):
    model_config = documented({**WHY, "audio": None})

    shoppers: bool = Field(description="The same shoppers like both.")
    creator: bool = Field(description="Both are of one maker.")
    category: bool
    words: list[str] = Field(description="What both texts speak of, the rarest first.")
    text: float | None = Field(description="Cosine of what they say; null where one of them says nothing.")
    image: float | None = Field(description="Cosine of what they look like.")
    audio: float | None = Field(description="Cosine of what they sound like.")


class SimilarItem(RecommendedItem):
    model_config = documented({**RECOMMENDED, "reason": "Both speak of harbour", "why": {**WHY, "audio": None}})

    why: Why | None = Field(description="null where popular items serve instead.")


class SimilarItems(Recommendations):
    model_config = documented(
        {
            "rec_id": REC_ID,
            "run_id": 7,
            "tier": "similar",
            "shelf": "similar",
            "title": "Similar items",
            "variant": None,
            "items": [{**RECOMMENDED, "reason": "Both speak of harbour", "why": {**WHY, "audio": None}}],
        }
    )

    items: list[SimilarItem]  # type: ignore[assignment]  # more than a RecommendedItem, and read only
