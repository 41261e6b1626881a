"""The learning console: Django's admin finds the tables registered here."""

from recommender.admin import access, activity, catalogue, people, publications, runs, site

__all__ = ["access", "activity", "catalogue", "people", "publications", "runs", "site"]
