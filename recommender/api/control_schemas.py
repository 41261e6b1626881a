"""What goes in and comes out of the routes for what visitors decide; see schemas."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from recommender.api.describing import NO_NUL, documented
from recommender.models.ids import MAX_LENGTH

MOST = 50  # changes of one kind in one request
Topic = Annotated[str, Field(max_length=208, pattern=NO_NUL)]
Weight = Annotated[float, Field(ge=-1, le=1)]
ItemIds = Annotated[list[Annotated[str, Field(max_length=MAX_LENGTH, pattern=NO_NUL)]], Field(max_length=MOST)]
TOPICS = "`category:` and a slug, or `creator:` and a name, to a number from -1 (never) to 1 (much more)."
CONTROLS = {
    "personalised": True,
    "private_since": None,
    "reset_at": "2026-05-04T08:00:00Z",
    "topics": {"category:prints": -1.0, "creator:A. Marsh": 0.5},
    "ignored": ["print-0042"],
    "undo": "the wish about A. Marsh",
}


class ControlsIn(BaseModel):
    """What is left out stays as it is."""

    model_config = documented({"topics": {"category:prints": -1}, "ignore": ["print-0042"]}, {"private": True})

    personalised: bool | None = Field(None, description="false: what a stranger gets, and no history is read for it.")
    private: bool | None = Field(None, description="true: nothing of this visitor is recorded until it is false again.")
    topics: Annotated[dict[Topic, Weight], Field(max_length=MOST)] | None = Field(
        None, description=f"{TOPICS} Those named are set, others stay; 0 is as usual."
    )
    ignore: ItemIds | None = Field(None, description="Items that are to be no reason for anything any more.")
    heed: ItemIds | None = Field(None, description="Items that may be a reason again.")


class ControlsOut(BaseModel):
    model_config = documented(CONTROLS)

    personalised: bool
    private_since: datetime | None = Field(description="Since when nothing is recorded; null: it is.")
    reset_at: datetime | None = Field(description="What was done before says nothing any more.")
    topics: dict[str, float] = Field(description=TOPICS)
    ignored: list[str] = Field(description="Items that are no reason for anything.")
    undo: str | None = Field(description="What the next undo takes back, in words; null: nothing.")


class UndoAnswer(ControlsOut):
    model_config = documented({**CONTROLS, "undone": "the wish about Prints"})

    undone: str | None = Field(description="What was taken back, in words; null: there was nothing.")


class ForgetAnswer(BaseModel):
    model_config = documented({"forgotten": 3})

    forgotten: int = Field(ge=0, description="Events that were deleted.")
