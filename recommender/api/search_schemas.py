"""What search over the API answers; see schemas."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from recommender.api.describing import REC_ID, documented

FOUND = {
    "item_id": "print-0042",
    "title": "Harbour at dawn",
    "creator": "A. Marsh",
    "score": 0.9214,
    "position": 1,
    "price": "24.00",
    "category": "prints",
    "image": "/media/pictures/print-0042.webp",
}
CHOICE = {"value": "prints", "name": "Prints", "count": 12, "chosen": False}


class FoundItem(BaseModel):
    model_config = documented(FOUND)

    item_id: str
    title: str
    creator: str
    score: float = Field(description="Higher is more relevant. Comparable within one answer only.")
    position: int = Field(ge=1, description="In the whole list, not in this part of it.")
    price: str | None = Field(description="A decimal number as text, so that no digit is lost; null on request.")
    category: str | None
    image: str | None = Field(description="Address of the picture on this site.")


class FacetChoice(BaseModel):
    model_config = documented(CHOICE)

    value: str = Field(description="To be sent back. A price's is least-most, open where one is left out.")
    name: str = Field(description="For the visitor.")
    count: int = Field(ge=0, description="Items that it would leave, or add.")
    chosen: bool


class SearchFacet(BaseModel):
    model_config = documented({"name": "category", "title": "Category", "choices": [CHOICE]})

    name: str = Field(description="category, creator, price, in_stock, or a. and the name of an attribute.")
    title: str
    choices: list[FacetChoice]


class SearchAnswer(BaseModel):
    model_config = documented(
        {
            "rec_id": REC_ID,
            "run_id": None,
            "shelf": "search",
            "query": "harbor",
            "tier": "words",
            "total": 12,
            "cut": False,
            "corrected": {"harbor": "harbour"},
            "dropped": [],
            "did_you_mean": None,
            "facets": [{"name": "category", "title": "Category", "choices": [CHOICE]}],
            "items": [FOUND],
        }
    )

    rec_id: UUID = Field(description="This answer's id. Send it back with the events that follow from it.")
    run_id: int | None = Field(description="The run whose model had a say in the order; null where none had.")
    shelf: Literal["search"]
    query: str = Field(description="What was looked at of yours.")
    tier: Literal["words", "some", "meaning", "none"] = Field(
        description="words: items hold what was asked for; some: some of the words; meaning: none of them, but are "
        "near; none: nothing was found."
    )
    total: int = Field(ge=0, description="Items found, as narrowed down.")
    cut: bool = Field(description="Whether there are more: the best 1,000 are looked at, counted and sorted.")
    corrected: dict[str, str] = Field(description="Words that occur nowhere, and those searched for in their stead.")
    dropped: list[str] = Field(description="Words that occur nowhere and are like no other.")
    did_you_mean: str | None = Field(description="A query that may have been meant.")
    facets: list[SearchFacet]
    items: list[FoundItem]


SUGGESTED = {"kind": "title", "text": "Harbour at dawn", "item_id": "print-0042", "category": None}


class SearchSuggestion(BaseModel):
    model_config = documented(SUGGESTED)

    kind: Literal["title", "creator", "category", "words"]
    text: str
    item_id: str | None = Field(description="Of a title.")
    category: str | None = Field(description="The slug of a category.")


class SuggestAnswer(BaseModel):
    model_config = documented({"suggestions": [SUGGESTED]})

    suggestions: list[SearchSuggestion]
