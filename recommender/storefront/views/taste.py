"""Tell us what you like: a page of items to say yes to, for shoppers of whom nothing is known yet."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_POST

from recommender.services import catalogue, tastes
from recommender.services.errors import InvalidInput
from recommender.storefront.context import decided
from recommender.storefront.visitor import visitor, visitor_id


@gzip_page
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    chosen = [item_id for item_id in request.POST.getlist("item") if "\x00" not in item_id][
        : tastes.PAGES * tastes.OFFERED
    ]
    error = ""
    if request.method == "POST" and "others" not in request.POST:
        try:
            tastes.pick(visitor(request), chosen)
        except InvalidInput as refused:
            error = refused.detail
        else:
            private = decided(request).private_since is not None
            thanks = "Thank you. The shelves below are put together for you."
            messages.success(request, "Private mode is on, so your picks were not kept." if private else thanks)
            return redirect("storefront:home")
    number = _number(request.POST.get("others") or request.POST.get("page", ""))
    items, more = tastes.choices(number)
    kept = catalogue.some([item_id for item_id in chosen if item_id not in {item.pk for item in items}])
    context = {
        "items": items,
        "chosen": set(chosen),
        "kept": kept,
        "picked": tastes.picked(visitor_id(request)),
        "page_number": number,
        "others": number + 1 if more else 1 if number > 1 else 0,
        "enough": tastes.ENOUGH,
        "error": error,
    }
    return render(request, "storefront/taste.html", context, status=422 if error else 200)


@require_POST
def start_again(request: HttpRequest) -> HttpResponse:
    if tastes.start_again(visitor_id(request)):
        messages.success(request, "Your picks are taken back. What else you did here stays as it is.")
    return redirect("storefront:taste")


def _number(text: str) -> int:
    return int(text) if text in {str(number) for number in range(1, tastes.PAGES + 1)} else 1
