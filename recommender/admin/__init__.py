"""The learning console: Django's admin finds the tables registered here."""

from recommender.admin import access, activity, catalogue, learning, people, runs, site

__all__ = ["access", "activity", "catalogue", "learning", "people", "runs", "site"]
