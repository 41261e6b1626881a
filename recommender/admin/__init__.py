"""The learning console: Django's admin finds the tables registered here."""

from recommender.admin import (
    access,
    activity,
    catalogue,
    encodings,
    experiments,
    outcomes,
    people,
    publications,
    rules,
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
    "experiments",
    "outcomes",
    "people",
    "publications",
    "rules",
    "runs",
    "screenings",
    "site",
    "verdicts",
]
