"""The cart, the checkout and the order that comes of it."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from recommender.models import CartLine
from recommender.services import catalogue, orders
from recommender.services.errors import CartProblem
from recommender.services.screening import clients, velocity
from recommender.storefront import shelves, sources
from recommender.storefront.context import decided
from recommender.storefront.forms import CheckoutForm, LineForm, QuantityForm
from recommender.storefront.views.item import wanted
from recommender.storefront.visitor import client, counted_id, visitor, visitor_id


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    me = visitor_id(request)
    lines = orders.lines(me)
    chosen = [line.item for line in reversed(lines)]
    context = {
        "lines": [(line, _problem(line)) for line in lines],
        "total": orders.total(lines),
        "pieces": sum(line.quantity for line in lines),
        "ready": bool(lines) and not any(_problem(line) for line in lines),
        "undo": _undo(request, lines),
        "rows": [
            shelves.goes_with(chosen, me, decided(request))
            or shelves.suggested(me, exclude=[item.pk for item in chosen])
        ],
        "max_quantity": orders.MAX_QUANTITY,
    }
    return render(request, "storefront/cart.html", context)


@require_POST
def add(request: HttpRequest, item_id: str) -> HttpResponse:
    item = wanted(item_id)
    form = QuantityForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Choose a whole number from 1 to {orders.MAX_QUANTITY}.")
        return redirect("storefront:item", item.pk)
    quantity = form.cleaned_data["quantity"]
    flag = velocity.cart(counted_id(request), client(request))
    try:
        orders.add(visitor(request), item, quantity, sources.read(request.POST), flag)
    except CartProblem as problem:
        messages.error(request, problem.detail)
    else:
        pieces = f"{quantity} × " if quantity > 1 else ""
        messages.success(request, f"{pieces}{item.title} is in your cart.", extra_tags="cart")
    return redirect("storefront:item", item.pk)


@require_POST
def change(request: HttpRequest, item_id: str) -> HttpResponse:
    form = LineForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Choose a whole number from 0 to {orders.MAX_QUANTITY}.")
    elif form.cleaned_data["quantity"] == 0:
        return remove(request, item_id)
    else:
        try:
            orders.change(visitor_id(request), item_id, form.cleaned_data["quantity"])
        except CartProblem as problem:
            messages.error(request, problem.detail)
    return redirect("storefront:cart")


@require_POST
def remove(request: HttpRequest, item_id: str) -> HttpResponse:
    line = orders.remove(visitor_id(request), item_id)
    if line is None:
        return redirect("storefront:cart")
    said = {"removed": line.item_id, "quantity": line.quantity, **sources.fields(orders.source_of(line))}
    return redirect(f"{reverse('storefront:cart')}?{urlencode(said)}")


@require_POST
def put_back(request: HttpRequest, item_id: str) -> HttpResponse:
    item = wanted(item_id)
    form = QuantityForm(request.POST)
    if form.is_valid():
        try:
            orders.put_back(visitor(request), item, form.cleaned_data["quantity"], sources.read(request.POST))
        except CartProblem as problem:
            messages.error(request, problem.detail)
    return redirect("storefront:cart")


@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    lines = orders.lines(visitor_id(request))
    if not lines:
        # A form sent twice, or a step back after ordering: show the order, not an empty cart.
        placed = orders.placed_just_now(visitor_id(request))
        return redirect("storefront:order", placed.pk) if placed else redirect("storefront:cart")
    form = CheckoutForm(request.POST or None, initial=_known(request))
    if request.method == "POST" and form.is_valid():
        to, where = form.to(), client(request)
        held = velocity.order(counted_id(request), where, to.address)
        try:
            order = orders.place(visitor(request), to, client=clients.kept(where), held=held)
        except CartProblem as problem:
            messages.error(request, problem.detail)
            return redirect("storefront:cart")
        return redirect(f"{reverse('storefront:order', args=[order.pk])}?thanks=1")
    context = {"form": form, "lines": lines, "total": orders.total(lines)}
    return render(request, "storefront/checkout.html", context)


@require_safe
def order(request: HttpRequest, order_id: str) -> HttpResponse:
    """An order is shown to whoever placed it and to nobody else, not even as existing."""
    found = None if "\x00" in order_id else orders.placed(visitor_id(request)).filter(pk=order_id).first()
    if found is None:
        raise Http404("No such order of yours.")
    rows = []
    if thanks := "thanks" in request.GET:
        rows = [shelves.suggested(visitor_id(request), exclude=[line.item_id for line in found.lines.all()])]
    return render(request, "storefront/order.html", {"order": found, "thanks": thanks, "rows": rows})


def _known(request: HttpRequest) -> dict[str, str]:
    if not request.user.is_authenticated:
        return {}
    return {"name": request.user.get_full_name(), "email": request.user.email}


def _problem(line: CartLine) -> str:
    if not line.item.can_be_bought:
        return "Not to be had any more. Remove it to go on."
    if line.item.stock is not None and line.item.stock < line.quantity:
        return f"Only {line.item.stock} left. Change the quantity to go on."
    return ""


def _undo(request: HttpRequest, lines: list[CartLine]) -> dict[str, object] | None:
    """What a removal just now would need to be undone, read from the address so that no session is needed."""
    item_id = request.GET.get("removed", "")
    form = QuantityForm(request.GET)
    if not item_id or "\x00" in item_id or not form.is_valid() or any(line.item_id == item_id for line in lines):
        return None
    found = catalogue.some([item_id])
    if not found:
        return None
    trail = sources.fields(sources.read(request.GET))
    return {"item": found[0], "quantity": form.cleaned_data["quantity"], "trail": trail}
