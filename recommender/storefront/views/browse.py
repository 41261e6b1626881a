"""Looking around: the front page, categories, and the beacon that says which cards were seen."""

import json
import logging

from django.core.paginator import Page, Paginator
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from recommender.models import Category
from recommender.services import catalogue, events
from recommender.services.errors import UnknownCategory
from recommender.services.screening import velocity
from recommender.storefront import shelves
from recommender.storefront.context import decided, departments
from recommender.storefront.visitor import counted_id, guest, visitor_id

log = logging.getLogger(__name__)

PAGE_LENGTH = 24  # cards; divides by 2, 3, 4 and 6 columns
SORT_LABELS = {
    "title": "Title",
    "newest": "Newest",
    "price": "Price, low first",
    "price-down": "Price, high first",
}


@require_safe
@gzip_page
def home(request: HttpRequest) -> HttpResponse:
    me = visitor_id(request)
    all_departments = departments(request)
    rows = shelves.home(me, all_departments, decided(request))
    personal = any(row.personal or row.name == "recent" for row in rows)
    faces = [] if personal else [(department, _face(department, rows)) for department in all_departments]
    tiles = [(department, card) for department, card in faces if card]
    return render(request, "storefront/home.html", {"rows": rows, "tiles": tiles, "is_new_here": not personal})


@require_safe
def categories(request: HttpRequest) -> HttpResponse:
    found = catalogue.departments().prefetch_related("children")
    return render(request, "storefront/categories.html", {"departments": found})


@require_safe
@gzip_page
def category(request: HttpRequest, slug: str) -> HttpResponse:
    try:
        chosen = catalogue.category(slug)
    except UnknownCategory as error:
        raise Http404(str(error)) from error
    sort = request.GET.get("sort", "")
    sort = sort if sort in SORT_LABELS else "title"
    page = _page(request, catalogue.in_category(chosen, sort))
    cards = shelves.listing(page.object_list, "category", page.start_index())
    rows = [] if cards else [shelves.suggested(visitor_id(request))]
    shelves.rate([cards])
    context = {
        "category": chosen,
        "page": page,
        "cards": cards,
        "rows": rows,
        "sort": sort,
        "sorts": SORT_LABELS,
        "kept": "" if sort == "title" else f"sort={sort}&",
    }
    return render(request, "storefront/category.html", context)


@require_POST
def beacon(request: HttpRequest) -> HttpResponse:
    """Which cards a page really showed. Nobody waits for the answer, so nonsense is dropped without a word."""
    try:
        cards = json.loads(request.POST.get("cards", ""))
    except (ValueError, RecursionError):
        cards = []
    # Without a cookie every beacon would be a visitor of its own.
    if not guest(request).is_new or request.user.is_authenticated:
        flag = velocity.cards(counted_id(request), min(len(cards), events.MAX_CARDS) if isinstance(cards, list) else 0)
        try:
            events.record_impressions(visitor_id(request), cards, flag)
        except DatabaseError as error:
            log.warning("The impressions of one page could not be recorded: %s", error)
    return HttpResponse(status=204)


def _page(request: HttpRequest, items: QuerySet) -> Page:
    return Paginator(items, PAGE_LENGTH).get_page(request.GET.get("page"))


def _face(category: Category, rows: list[shelves.Row]) -> shelves.Card | None:
    """A card that stands for a category: the last one of its shelf, which is not in view beside it."""
    cards = [card for row in rows if row.name == f"popular-{category.pk}" for card in row.cards]
    with_picture = [card for card in cards if card.item.pictures.all()]
    return next(reversed(with_picture or cards), None)
