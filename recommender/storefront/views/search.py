"""Search: the page of results, and suggestions while somebody types."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from recommender.services import events
from recommender.services import search as service
from recommender.storefront import narrowing, shelves
from recommender.storefront.templatetags.shop import money
from recommender.storefront.views.browse import PAGE_LENGTH
from recommender.storefront.visitor import guest, visitor_id


@require_safe
@gzip_page
def results(request: HttpRequest) -> HttpResponse:
    sort = request.GET.get("sort", "")
    sort = sort if sort in service.SORTS else "relevance"
    me = None if guest(request).is_new and not request.user.is_authenticated else visitor_id(request)
    answer = service.search(request.GET.get("q", ""), narrowing.read(request.GET), sort, visitor_id=me)
    page = Paginator(answer.rows, PAGE_LENGTH).get_page(request.GET.get("page"))
    first = page.start_index()
    cards = [
        shelves.Card(item, events.Source(answer.rec_id, answer.run_id, "search", place))
        for place, item in enumerate(answer.items(max(first - 1, 0), PAGE_LENGTH), first)
    ]
    rows = [] if cards else [shelves.suggested(visitor_id(request))]
    shelves.rate([cards])
    context: dict[str, Any] = {
        "answer": answer,
        "query": answer.query,
        "kept_query": answer.query,
        "page": page,
        "cards": cards,
        "rows": rows,
        "note": _note(answer),
        "instead": [(word, narrowing.address(word)) for word in _instead(answer)],
        "groups": narrowing.groups(answer, money),
        "chips": narrowing.chips(answer, money),
        "open_url": narrowing.address(answer.query, sort=sort),
        "hidden": [pair for pair in narrowing.pairs(answer.filters) if pair[0] not in ("min_price", "max_price")],
        "sorts": [
            (name, narrowing.address(answer.query, answer.filters, key), key == sort)
            for key, name in service.SORTS.items()
        ],
        "sort": sort,
        "kept": narrowing.address(answer.query, answer.filters, sort)[1:] + "&",
        "most": service.CANDIDATES,
    }
    return render(request, "storefront/search.html", context)


def _note(answer: service.Answer) -> str:
    """What was searched for, where it is not quite what was asked for."""
    if not answer.found:
        return ""
    if answer.tier == "meaning":
        return "These words occur in no title or description. What follows comes nearest in meaning."
    said = []
    if answer.dropped:
        said.append(f"Nothing here holds {_listed(answer.dropped)}.")
    if answer.tier == "some" and not answer.dropped:
        said.append("No title holds all of these words; these hold some of them.")
    elif answer.tier == "some":
        said.append("These hold the other words.")
    return " ".join(said)


def _listed(words: list[str]) -> str:
    return " or ".join(f"“{word}”" for word in words)


def _instead(answer: service.Answer) -> list[str]:
    """Searches to go on with: a doubted word mended."""
    return [answer.did_you_mean] if answer.did_you_mean else []


@require_safe
def suggest(request: HttpRequest) -> JsonResponse:
    """What the box offers under it: [{kind, text, url}], alike for all."""
    search_page = reverse("storefront:search")

    def url(one: service.Suggestion) -> str:
        if one.kind == "title":
            return reverse("storefront:item", args=[one.id])
        if one.kind == "category":
            return reverse("storefront:category", args=[one.id])
        return search_page + narrowing.address(one.text)

    found = service.suggest(request.GET.get("q", ""))
    return JsonResponse({"suggestions": [{"kind": one.kind, "text": one.text, "url": url(one)} for one in found]})
