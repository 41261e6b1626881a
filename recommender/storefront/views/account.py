"""What a shopper did here: orders, history, reviews. A guest has a history too, as long as the cookie lives."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from recommender.services import events, histories, orders, reviews
from recommender.storefront import shelves
from recommender.storefront.visitor import visitor_id

PAGE_LENGTH = 20  # rows
A_FEW = 3  # orders and reviews on the overview
A_FEW_EVENTS = 5


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    me = visitor_id(request)
    recent = shelves.recently_viewed(histories.read(me))
    shelves.rate([recent])
    context = {
        "orders": orders.placed(me)[:A_FEW],
        "reviews": reviews.written(me)[:A_FEW],
        "events": events.history_of(me)[:A_FEW_EVENTS],
        "rows": [recent] if recent else [],
    }
    return render(request, "storefront/account/overview.html", context)


@require_safe
def orders_page(request: HttpRequest) -> HttpResponse:
    page = Paginator(orders.placed(visitor_id(request)), PAGE_LENGTH).get_page(request.GET.get("page"))
    return render(request, "storefront/account/orders.html", {"page": page})


@require_safe
def history(request: HttpRequest) -> HttpResponse:
    page = Paginator(events.history_of(visitor_id(request)), PAGE_LENGTH).get_page(request.GET.get("page"))
    return render(request, "storefront/account/history.html", {"page": page})


@require_safe
@login_required
def reviews_page(request: HttpRequest) -> HttpResponse:
    page = Paginator(reviews.written(visitor_id(request)), PAGE_LENGTH).get_page(request.GET.get("page"))
    return render(request, "storefront/account/reviews.html", {"page": page})
