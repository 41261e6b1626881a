"""Lists that answer whatever stands in their address or their form."""

from typing import Any

from django.contrib import admin, messages
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

MAX_SEARCH = 200  # characters; each word is a condition, and SQLite takes no more than a thousand


class SteadyList(admin.ModelAdmin):
    """Django refuses a filter that it does not know, but fails over the year 99999999999 or a row chosen as "nope"."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            return super().changelist_view(request, extra_context)
        except (ValueError, OverflowError, DataError):
            if not request.GET and request.method != "POST":  # nothing was asked for: the fault is ours
                raise
            messages.error(request, "That cannot be looked up: the address or the choice of rows is not valid.")
            return HttpResponseRedirect(request.path)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Model], search_term: str
    ) -> tuple[QuerySet[Model], bool]:
        return super().get_search_results(request, queryset, search_term[:MAX_SEARCH])
