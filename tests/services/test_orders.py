"""The cart and the checkout: what can be bought, by whom first, and nothing half-done."""

import uuid
from decimal import Decimal

import pytest

from recommender.models import CartLine, Event, Item, Order, Run
from recommender.services import events, orders, people
from recommender.services.errors import CartProblem
from tests.services.conftest import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.database]
TO = orders.Address("Ada Lovelace", "ada@shop.example", "1 Street")


def now_has(item_id: str, **values) -> None:
    Item.objects.filter(pk=item_id).update(**values)


def test_an_order_holds_what_was_in_the_cart(items, guest):
    now_has("sea-00", stock=5, price=Decimal("2.50"))
    orders.add(guest, Item.objects.get(pk="sea-00"), 2)
    orders.add(guest, items["hill-00"], 1)
    order = orders.place(guest, TO)
    assert (order.total, order.name, order.email, order.address) == (Decimal("15.00"), *vars(TO).values())
    assert sorted(order.lines.values_list("item_id", "quantity", "unit_price")) == [
        ("hill-00", 1, Decimal("10.00")),
        ("sea-00", 2, Decimal("2.50")),
    ]
    assert Item.objects.get(pk="sea-00").stock == 3
    assert Item.objects.get(pk="hill-00").stock is None
    assert not CartLine.objects.exists()
    bought = Event.objects.filter(kind="purchase")
    assert sorted(bought.values_list("item_id", "value", "session")) == [
        ("hill-00", 1, order.pk),
        ("sea-00", 2, order.pk),
    ]
    assert orders.placed_just_now(guest.pk) == order and list(orders.placed(guest.pk)) == [order]


def test_the_price_of_the_order_is_the_price_at_checkout(items, guest):
    orders.add(guest, items["sea-00"], 2)
    now_has("sea-00", price=Decimal(7))
    assert orders.place(guest, TO).total == 14


def test_putting_an_item_in_again_adds_up_and_records_each(items, guest):
    orders.add(guest, items["sea-00"], 2)
    orders.add(guest, items["sea-00"], 3)
    assert orders.count(guest.pk) == 5 and orders.total(orders.lines(guest.pk)) == 50
    assert list(Event.objects.values_list("kind", "value")) == [("cart", 2), ("cart", 3)]


@pytest.mark.parametrize("values", [{"active": False}, {"price": None}, {"stock": 0}], ids=str)
def test_what_cannot_be_bought_cannot_be_put_into_a_cart(items, guest, values):
    now_has("sea-00", **values)
    with pytest.raises(CartProblem, match="cannot be bought"):
        orders.add(guest, Item.objects.get(pk="sea-00"))
    assert not CartLine.objects.exists() and not Event.objects.exists()


@pytest.mark.parametrize(("stock", "allowed"), [(None, 99), (3, 3)])
def test_a_quantity_has_a_limit(items, guest, stock, allowed):
    now_has("sea-00", stock=stock)
    item = Item.objects.get(pk="sea-00")
    orders.add(guest, item, 1)
    with pytest.raises(CartProblem):
        orders.add(guest, item, allowed)
    with pytest.raises(CartProblem):
        orders.change(guest.pk, "sea-00", allowed + 1)
    orders.change(guest.pk, "sea-00", allowed)
    assert orders.count(guest.pk) == allowed


@pytest.mark.parametrize("quantity", [0, -1, -5])
def test_nobody_puts_less_than_one_piece_into_a_cart(items, guest, quantity):
    orders.add(guest, items["sea-00"], 3)
    for item_id in ("sea-00", "sea-01"):
        with pytest.raises(CartProblem, match="1 or more"):
            orders.add(guest, items[item_id], quantity)
        with pytest.raises(CartProblem, match="1 or more"):
            orders.put_back(guest, items[item_id], quantity, events.Source())
    assert orders.count(guest.pk) == 3


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_quantity_of_nothing_takes_the_line_out(items, guest, quantity):
    orders.add(guest, items["sea-00"], 3)
    orders.change(guest.pk, "sea-00", quantity)
    assert orders.lines(guest.pk) == []


def test_changing_a_line_that_is_not_there_does_nothing(items, guest):
    orders.change(guest.pk, "sea-00", 3)
    orders.change(guest.pk, "no such item", 3)
    assert orders.remove(guest.pk, "sea-00") is None
    assert not CartLine.objects.exists()


def test_a_line_taken_out_can_be_put_back_with_its_source(items, guest):
    source = events.Source(rec_id=uuid.uuid4(), shelf="for-you", position=4)
    orders.add(guest, items["sea-00"], 2, source)
    line = orders.remove(guest.pk, "sea-00")
    assert orders.lines(guest.pk) == []
    for _ in range(2):  # a second press does nothing
        orders.put_back(guest, items["sea-00"], line.quantity, orders.source_of(line))
    [back] = orders.lines(guest.pk)
    assert back.quantity == 2 and orders.source_of(back) == source
    assert Event.objects.filter(kind="cart").count() == 1


def test_an_empty_cart_cannot_be_ordered(items, guest):
    with pytest.raises(CartProblem, match="empty"):
        orders.place(guest, TO)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stock": 1}, "only 1 of Sea 01"),
        ({"stock": 0}, "Sea 01 is sold out"),
        ({"active": False}, "Sea 01 is sold out"),
        ({"price": None}, "Sea 01 is sold out"),
    ],
    ids=str,
)
def test_what_sold_out_meanwhile_is_named_and_nothing_is_half_done(items, guest, values, said):
    now_has("sea-00", stock=5)
    for item_id in ("sea-00", "sea-01"):
        orders.add(guest, Item.objects.get(pk=item_id), 2)
    now_has("sea-01", **values)
    with pytest.raises(CartProblem, match=said):
        orders.place(guest, TO)
    assert not Order.objects.exists() and not Event.objects.filter(kind="purchase").exists()
    assert Item.objects.get(pk="sea-00").stock == 5 and orders.count(guest.pk) == 4


def test_an_error_in_the_midst_of_an_order_undoes_all_of_it(items, guest, monkeypatch):
    now_has("sea-00", stock=5)
    for item_id in ("sea-00", "sea-01"):
        orders.add(guest, Item.objects.get(pk=item_id), 2)
    record = events.record

    def failing(visitor, item, *args, **kwargs):
        if item.pk == "sea-01":
            raise OSError("disk full")
        return record(visitor, item, *args, **kwargs)

    monkeypatch.setattr(events, "record", failing)
    with pytest.raises(OSError, match="disk full"):
        orders.place(guest, TO)
    assert not Order.objects.exists() and not Event.objects.filter(kind="purchase").exists()
    assert Item.objects.get(pk="sea-00").stock == 5 and orders.count(guest.pk) == 4


def test_the_purchase_names_the_recommendation_that_led_to_it(items, guest):
    run = Run.objects.create(trainer="als", status="succeeded")
    source = events.Source(uuid.uuid4(), run.pk, "for-you", 2)
    orders.add(guest, items["sea-00"], 1, source)
    orders.place(guest, TO)
    event = Event.objects.get(kind="purchase")
    assert events.Source(event.rec_id, event.run_id, event.shelf, event.position) == source


@pytest.mark.django_db(transaction=True)
def test_a_run_deleted_meanwhile_does_not_stand_in_an_orders_way(items, guest):
    run = Run.objects.create(trainer="als", status="succeeded")
    orders.add(guest, items["sea-00"], 1, events.Source(run_id=run.pk, shelf="for-you"))
    run.delete()
    orders.place(guest, TO)
    event = Event.objects.get(kind="purchase")
    assert event.run_id is None and event.shelf == "for-you"


def test_a_cart_and_an_order_are_nobody_elses(items, guest):
    orders.add(guest, items["sea-00"])
    orders.place(guest, TO)
    assert orders.lines("guest:other") == [] and not orders.placed("guest:other").exists()
    assert orders.placed_just_now("guest:other") is None
    assert orders.count(None) == 0


@pytest.mark.django_db(transaction=True)
def test_the_last_piece_is_sold_once(items):
    now_has("sea-00", stock=1)
    buyers = [people.ensure(f"buyer-{number}") for number in range(3)]
    for buyer in buyers:
        orders.add(buyer, Item.objects.get(pk="sea-00"))
        orders.add(buyer, items["sea-01"])
    results = at_once(*[lambda buyer=buyer: orders.place(buyer, TO) for buyer in buyers])
    assert sorted(type(result).__name__ for result in results) == ["CartProblem", "CartProblem", "Order"]
    assert Item.objects.get(pk="sea-00").stock == 0
    assert Order.objects.count() == 1 and Event.objects.filter(kind="purchase").count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_checkout_form_sent_twice_orders_once(items, guest):
    orders.add(guest, items["sea-00"])
    results = at_once(lambda: orders.place(guest, TO), lambda: orders.place(guest, TO))
    assert sorted(type(result).__name__ for result in results) == ["CartProblem", "Order"]
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_double_click_puts_two_pieces_on_one_line(items, guest):
    at_once(lambda: orders.add(guest, items["sea-00"]), lambda: orders.add(guest, items["sea-00"]))
    assert CartLine.objects.get().quantity == 2


@pytest.mark.django_db(transaction=True)
def test_logging_in_while_ordering_loses_nothing(items, guest, account):
    orders.add(guest, items["sea-00"])
    placed, moved = at_once(lambda: orders.place(guest, TO), lambda: people.merge(guest.pk, account))
    assert moved >= 1
    if isinstance(placed, Order):
        assert Order.objects.get().visitor == account and not CartLine.objects.exists()
        assert Event.objects.get(kind="purchase").visitor == account
    else:  # the cart had moved already: it waits in the account
        assert isinstance(placed, CartProblem) and CartLine.objects.get().visitor == account
