"""What goes in and comes out of the routes for training runs; see schemas."""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field

from recommender.api.describing import NO_NUL, documented
from recommender.models import Run
from recommender.services import publishing

LARGEST = 2**53  # integers beyond it change on their way through JavaScript
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


assert set(Run.Status.values) == set(get_args(Status))
