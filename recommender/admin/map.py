"""The map of the items: where the live run, or another, puts them beside each other, and which groups they make."""

from typing import Any

import numpy as np
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.gzip import gzip_page

from recommender.models import Item
from recommender.services import clusters, serving

MOST_POINTS = 10_000  # drawn; of more, a part evenly over all groups
MOST_LISTED = 50  # items in the list beside it; its search narrows them down
PLACES = 3  # decimals of a coordinate, the width of the map being about 30
KINDS = {"items": "Groups of all items", "dense": "Only what lies close together"}


class MapPage(admin.ModelAdmin):
    """The page beside RunAdmin's list."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(gzip_page(self.map_view))
        return [path("map/", view, name="recommender_run_map"), *super().get_urls()]

    def map_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        current = serving.live()
        groups = clusters.of(current.model)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Map of the items",
            "run_id": current.run_id,
            "groups": groups,
        }
        if groups is not None and current.model is not None:
            context |= _drawn(groups, current.model.items.all)
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/recommender/run/map.html", context)


def _drawn(groups: clusters.Groups, item_ids: list[str]) -> dict[str, Any]:
    rows = np.arange(len(item_ids))
    if len(rows) > MOST_POINTS:
        order = np.argsort(groups.labels, kind="stable")
        rows = np.sort(order[np.linspace(0, len(rows) - 1, MOST_POINTS).astype(int)])
    titles: dict[str, str] = {}
    ids = [item_ids[row] for row in rows.tolist()]
    for at in range(0, len(ids), 5_000):  # SQLite takes no more in one question than some ten thousand
        titles.update(Item.objects.filter(pk__in=ids[at : at + 5_000]).values_list("pk", "title"))
    kept = [place for place, item_id in enumerate(ids) if item_id in titles]
    rows, ids = rows[kept], [ids[place] for place in kept]
    points = np.round(groups.points[rows].astype(float), PLACES)
    data = {
        "ids": [quote(item_id) for item_id in ids],
        "titles": [titles[item_id] for item_id in ids],
        "x": points[:, 0].tolist(),
        "y": points[:, 1].tolist(),
        "labels": {"items": groups.labels[rows].tolist(), "dense": groups.dense[rows].tolist()},
        "names": {"items": groups.names, "dense": groups.dense_names},
        "url": reverse("admin:recommender_item_change", args=["0"]).replace("/0/", "/{}/"),
        "listed": MOST_LISTED,
    }
    sizes = np.bincount(groups.labels[groups.labels >= 0], minlength=len(groups.names)).tolist()
    return {
        "data": data,
        "count": len(item_ids),
        "drawn": len(ids),
        "legend": list(zip(groups.names, sizes, strict=True)),
        "kinds": [(key, label) for key, label in KINDS.items() if data["names"][key]],
        "segments": sorted(zip(groups.segment_names, groups.segment_sizes, strict=True), key=lambda one: -one[1]),
        "words": "what shoppers do with them" if groups.by == "behaviour" else "what they say, show and sound like",
    }
