"""Tables that staff read and never edit, and lists that stay quick over millions of rows."""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from recommender.admin.lists import SteadyList

MOST_COUNTED = 20_000  # rows; counting on would read the whole table to show a number nobody pages to


class CappedPaginator(Paginator):
    """Counts no further than MOST_COUNTED."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:MOST_COUNTED].count()

    @property
    def capped(self) -> bool:
        return self.count >= MOST_COUNTED


class ReadOnly:
    """For a ModelAdmin or an inline: what happened is shown, not changed."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, SteadyList):
    change_list_template = "admin/recommender/capped_change_list.html"
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter reads the table that often
    list_per_page = 50
