"""The learning console: Django's admin finds the tables registered here."""

from recommender.admin import (
    access,
    activity,
    catalogue,
    encodings,
    people,
    publications,
    runs,
    screenings,
    site,
    verdicts,
)

__all__ = [
    "access",
    "activity",
    "catalogue",
    "encodings",
    "people",
    "publications",
    "runs",
    "screenings",
    "site",
    "verdicts",
]
