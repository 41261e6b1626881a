"""The cart and the checkout. No payment is taken: a shop plugs its own in after `place`."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from recommender.models import CartLine, Event, Item, Order, OrderLine, Visitor
from recommender.services import events
from recommender.services.errors import CartProblem

MAX_QUANTITY = CartLine.MAX_QUANTITY
MAX_PAYMENT = Order._meta.get_field("payment").max_length or 64  # characters


@dataclass(frozen=True)
class Address:
    name: str
    email: str
    address: str


def lines(visitor_id: str) -> list[CartLine]:
    """The cart, oldest line first, with items and pictures."""
    mine = CartLine.objects.filter(visitor_id=visitor_id).select_related("item__category")
    return list(mine.prefetch_related("item__pictures"))


def total(cart: list[CartLine]) -> Decimal:
    return sum((line.total for line in cart), Decimal(0))


def count(visitor_id: str | None) -> int:
    """Pieces in the cart, for the page's header."""
    if not visitor_id:
        return 0
    return sum(CartLine.objects.filter(visitor_id=visitor_id).values_list("quantity", flat=True))


@transaction.atomic
def add(
    visitor: Visitor, item: Item, quantity: int = 1, source: events.Source = events.NO_SOURCE, flag: str = ""
) -> CartLine:
    """Put pieces into the cart and record it. Raises CartProblem when the item cannot be bought."""
    if not item.can_be_bought:
        raise CartProblem(f"{item.title} cannot be bought at the moment.")
    _check_quantity(item, quantity)
    _lock_cart(visitor)
    line = CartLine.objects.filter(visitor=visitor, item=item).first()
    _check_quantity(item, (line.quantity if line else 0) + quantity)
    if line:
        line.quantity += quantity
        line.save(update_fields=["quantity"])
    else:
        line = CartLine.objects.create(visitor=visitor, item=item, quantity=quantity, source=_kept(source))
    events.record(visitor, item, Event.Kind.CART, value=quantity, source=source, flag=flag)
    return line


def change(visitor_id: str, item_id: str, quantity: int) -> None:
    """Set a line's quantity; 0 removes the line. Raises CartProblem."""
    line = CartLine.objects.filter(visitor_id=visitor_id, item_id=item_id).select_related("item").first()
    if line is None:
        return
    mine = CartLine.objects.filter(pk=line.pk)  # it may be gone by now, and nothing is to be done then
    if quantity <= 0:
        mine.delete()
        return
    _check_quantity(line.item, quantity)
    mine.update(quantity=quantity)


@transaction.atomic
def remove(visitor_id: str, item_id: str) -> CartLine | None:
    """Take a line out of the cart; returns what `put_back` needs to undo it, or None when it was not there."""
    line = CartLine.objects.filter(visitor_id=visitor_id, item_id=item_id).select_related("item").first()
    if line:
        CartLine.objects.filter(pk=line.pk).delete()
    return line


@transaction.atomic
def put_back(visitor: Visitor, item: Item, quantity: int, source: events.Source) -> None:
    """Undo `remove`: the line as it was, without a second cart event. Raises CartProblem."""
    _check_quantity(item, quantity)
    CartLine.objects.get_or_create(visitor=visitor, item=item, defaults={"quantity": quantity, "source": _kept(source)})


@transaction.atomic
def place(visitor: Visitor, to: Address, *, client: str = "", payment: str = "", held: str = "") -> Order:
    """Turn the cart into an order: stock goes down, purchase events are recorded, the cart is emptied.

    `client` is the network address to keep, `payment` what the payment provider calls the card, `held` the rule that
    the order broke: it is placed all the same, and waits for staff.

    Raises CartProblem, naming the items, when the cart is empty or something sold out meanwhile; nothing changes then.
    """
    _lock_cart(visitor)  # so that a form sent twice finds an empty cart the second time instead of ordering again
    cart = list(CartLine.objects.filter(visitor=visitor).order_by("added_at"))
    if not cart:
        raise CartProblem("It is empty.")
    wanted = Item.objects.select_for_update().filter(id__in=[line.item_id for line in cart])
    items = {item.id: item for item in wanted.order_by("id")}  # in one order everywhere, so that no two wait in a ring
    problems = []
    for line in cart:
        item = items[line.item_id]
        if not item.can_be_bought:
            problems.append(f"{item.title} is sold out")
        elif item.stock is not None and item.stock < line.quantity:
            problems.append(f"only {item.stock} of {item.title} are left")
    if problems:
        raise CartProblem(f"{'; '.join(problems)}. Change the cart and order again.")
    order = Order(id=new_order_id(), visitor=visitor, name=to.name, email=to.email, address=to.address)
    order.client, order.payment, order.held = client, payment[:MAX_PAYMENT], held
    order.save(force_insert=True)
    for line in cart:
        item = items[line.item_id]
        assert item.price is not None
        OrderLine.objects.create(order=order, item=item, quantity=line.quantity, unit_price=item.price)
        order.total += item.price * line.quantity
        if item.stock is not None:
            item.stock -= line.quantity
            item.save(update_fields=["stock"])
        events.record(
            visitor, item, Event.Kind.PURCHASE, value=line.quantity, session=order.id, source=source_of(line), flag=held
        )
    order.save(update_fields=["total"])
    CartLine.objects.filter(pk__in=[line.pk for line in cart]).delete()
    return order


def placed(visitor_id: str) -> QuerySet[Order]:
    """A visitor's orders, the latest first, with their lines."""
    return Order.objects.filter(visitor_id=visitor_id).prefetch_related("lines__item__pictures")


def placed_just_now(visitor_id: str) -> Order | None:
    """The order of the last minute: where a checkout form sent twice leads."""
    return Order.objects.filter(visitor_id=visitor_id, placed_at__gte=timezone.now() - timedelta(minutes=1)).first()


@transaction.atomic
def release(chosen: QuerySet[Order]) -> int:
    """Let held orders go, and their purchases count as any others; returns how many."""
    ids = list(chosen.exclude(held="").values_list("pk", flat=True))
    bought = Event.objects.filter(kind=Event.Kind.PURCHASE, session__in=ids, visitor__orders__in=ids)
    Event.objects.filter(pk__in=bought.exclude(flag="").values("pk")).update(flag="")
    return Order.objects.filter(pk__in=ids).update(held="")


def new_order_id() -> str:
    """A number a person can read out, such as 261124-7K3MQX; too sparse to guess another's."""
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0, 1, I and O, which are mistaken for each other
    return f"{timezone.now():%y%m%d}-{''.join(secrets.choice(alphabet) for _ in range(6))}"


def _lock_cart(visitor: Visitor) -> None:
    """One cart is changed by one request at a time, so that a double click cannot make a line or an order twice."""
    Visitor.objects.select_for_update().get(pk=visitor.pk)


def _check_quantity(item: Item, quantity: int) -> None:
    if quantity < 1:
        raise CartProblem("Choose a quantity of 1 or more.")
    if quantity > MAX_QUANTITY:
        raise CartProblem(f"At most {MAX_QUANTITY} pieces of one item.")
    if item.stock is not None and quantity > item.stock:
        raise CartProblem(f"Only {item.stock} of {item.title} are in stock.")


def _kept(source: events.Source) -> dict[str, str]:
    return {name: str(value) for name, value in asdict(source).items() if value}


def source_of(line: CartLine) -> events.Source:
    """The recommendation that a line came from, as far as it is still there."""
    kept: Mapping[str, Any] = line.source
    return events.source(kept.get("rec_id"), kept.get("run_id"), kept.get("shelf"), kept.get("position"))
