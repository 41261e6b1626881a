"""The shop's own events and settings, for a drill."""

from typing import Any

from recommender.conf import conf
from recommender.engine.data.activity import Activity
from recommender.services import event_log
from recommender.services.screening import columns
from recommender.services.screening.drill import Setup


def copy(**changes: Any) -> tuple[Activity, Setup]:
    """All events, in memory, and how the shop learns and defends itself but for `changes`. Raises NoData."""
    settings = conf()
    own = {
        "test_share": settings.test_share,
        "quarantine_at": settings.screened.quarantine_at,
        "weigh_down_at": settings.screened.weigh_down_at,
        "weights": settings.weights,
        "repeat_s": event_log.REPEAT_S,
    }
    return columns.activity(), Setup(**{**own, **changes})
