"""Answers: recommendations from the live model and the visitor's latest events, with a fallback behind each tier.

personal   what a visitor may like next, tier by tier
candidates what might stand there: sources, each within its time (deadlines), mixed
choosing   what is true now, what visitor and shop want, how a list should look
lists      the same for everybody: popular, trending, new, on disk
neighbours items that go with an item
why        what stands behind a recommendation
"""

from recommender.services import mixing, newcomers, trending
from recommender.services.serving import again, deadlines, lists, live_model, narrowing
from recommender.services.serving.answers import MAX_RESULTS, Recommendation, Shelf
from recommender.services.serving.choosing import POOL, Terms, filled
from recommender.services.serving.lists import newest, popular, trends
from recommender.services.serving.live_model import Live, live
from recommender.services.serving.neighbours import (
    bought_together,
    content_neighbours,
    model_neighbours,
    similar,
    substitutes,
)
from recommender.services.serving.personal import SEGMENT_TITLE, noted, recommend, terms_of
from recommender.services.serving.truth import read
from recommender.services.serving.why import Share, Why, behind, why

__all__ = [
    "MAX_RESULTS",
    "POOL",
    "SEGMENT_TITLE",
    "Live",
    "Recommendation",
    "Share",
    "Shelf",
    "Terms",
    "Why",
    "behind",
    "bought_together",
    "content_neighbours",
    "filled",
    "forget",
    "live",
    "model_neighbours",
    "newest",
    "noted",
    "popular",
    "read",
    "recommend",
    "similar",
    "substitutes",
    "terms_of",
    "trends",
    "why",
]


def forget() -> None:
    """Drop what this process remembers, so that no test sees what another one served."""
    for module in (live_model, lists, narrowing, deadlines, again, newcomers, mixing, trending):
        module.forget()
