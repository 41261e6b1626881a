"""Cart, checkout and orders."""

from decimal import Decimal
from html import unescape

import pytest
from django.test import Client

from recommender.models import CartLine, Event, Order

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ADDRESS = {"name": "Ada Reader", "email": "ada@example.com", "address": "1 Shelf Lane, Bath"}


def add(client, item_id="book-00", **values):
    return client.post(f"/item/{item_id}/cart/", {"quantity": "1", **values})


def said(client, url="/cart/"):
    return unescape(client.get(url).content.decode())


def test_from_card_to_order_the_source_is_kept(client, shop, live_run):
    rec = "12345678-1234-5678-1234-567812345678"
    trail = {"rec": rec, "run": live_run.pk, "shelf": "for-you", "at": "3"}
    page = client.get("/item/book-00/", trail).content.decode()
    assert page.count(f'<input type="hidden" name="rec" value="{rec}">') == 2
    assert add(client, quantity="2", **trail).status_code == 302
    assert "is in your cart" in said(client, "/item/book-00/")
    done = client.post("/checkout/", ADDRESS, follow=True)
    order = Order.objects.get()
    assert order.total == Decimal("19.00")
    assert order.pk in done.content.decode() and "Nothing was charged" in done.content.decode()
    assert not CartLine.objects.exists()
    for kind in ("cart", "purchase"):
        event = Event.objects.get(kind=kind, visitor__kind="guest")
        assert (str(event.rec_id), event.run_id, event.shelf, event.position, event.value) == (
            rec, live_run.pk, "for-you", 3, 2,
        )  # fmt: skip
    assert event.session == order.pk


def test_a_run_deleted_meanwhile_does_not_stop_the_order(client, shop, live_run):
    add(client, run=str(live_run.pk), shelf="for-you", at="1")
    live_run.publications.all().delete()
    live_run.delete()
    client.post("/checkout/", ADDRESS)
    assert Event.objects.get(kind="purchase", visitor__kind="guest").run_id is None


def test_a_cart_and_an_order_offer_something_to_go_on_with(client, shop, live_run):
    add(client, "record-05")
    (row,) = client.get("/cart/").context["rows"]
    assert row.cards and "record-05" not in {card.item.pk for card in row.cards}
    (row,) = client.post("/checkout/", ADDRESS, follow=True).context["rows"]
    assert row.personal and "record-05" not in {card.item.pk for card in row.cards}


@pytest.mark.parametrize("quantity", ["0", "-1", "100", "x", "", "1.5", "9" * 30])
def test_odd_quantities_are_refused_kindly(client, shop, quantity):
    assert add(client, quantity=quantity).status_code == 302
    assert not CartLine.objects.exists()
    assert "whole number" in said(client, "/item/book-00/")


def test_no_more_than_the_stock(client, shop):
    shop["books"][0].stock = 2
    shop["books"][0].save()
    add(client, quantity="3")
    assert "Only 2 of Title 001 are in stock." in said(client, "/item/book-00/")
    add(client, quantity="2")
    add(client)
    assert CartLine.objects.get().quantity == 2


def test_what_cannot_be_bought_cannot_be_added(client, shop, item):
    item("dear", price=None)
    item("gone", active=False)
    add(client, "dear")
    assert add(client, "gone").status_code == 404
    assert add(client, "none").status_code == 404
    assert not CartLine.objects.exists()


def test_change_remove_and_undo(client, shop, live_run):
    add(client, run=str(live_run.pk), shelf="popular", at="4")
    client.post("/cart/book-00/quantity/", {"quantity": "5"})
    assert CartLine.objects.get().quantity == 5
    assert "£47.50" in said(client)
    for bad in ("100", "x", "-1"):
        client.post("/cart/book-00/quantity/", {"quantity": bad})
    assert CartLine.objects.get().quantity == 5
    gone = client.post("/cart/book-00/remove/")
    page = client.get(gone.url)
    assert b"was removed" in page.content and not CartLine.objects.exists()
    undo = page.context["undo"]
    client.post("/cart/book-00/put-back/", {"quantity": undo["quantity"], **undo["trail"]})
    line = CartLine.objects.get()
    assert (line.quantity, line.source["shelf"], line.source["position"]) == (5, "popular", "4")
    assert Event.objects.filter(kind="cart").count() == 1  # undoing is not choosing again
    assert b"was removed" not in client.get(gone.url).content


def test_quantity_zero_removes(client, shop):
    add(client)
    assert "removed=book-00" in client.post("/cart/book-00/quantity/", {"quantity": "0"}).url
    assert not CartLine.objects.exists()


@pytest.mark.parametrize(
    "query", ["removed=none&quantity=1", "removed=%00&quantity=1", "removed=book-00&quantity=x", "removed="]
)
def test_nonsense_in_the_cart_s_address_is_ignored(client, shop, query):
    page = client.get(f"/cart/?{query}")
    assert page.status_code == 200 and page.context["undo"] is None


def test_someone_else_s_cart_is_out_of_reach(client, shop):
    add(client)
    other = Client()
    other.post("/cart/book-00/quantity/", {"quantity": "9"})
    other.post("/cart/book-00/remove/")
    assert CartLine.objects.get().quantity == 1
    assert "nothing in it yet" in said(other)


def test_what_sold_out_meanwhile_is_said_and_stops_the_order(client, shop):
    add(client)
    shop["books"][0].stock = 0
    shop["books"][0].save()
    assert "Remove it to go on" in said(client)
    assert "Go to checkout" not in said(client)
    assert client.post("/checkout/", ADDRESS).url == "/cart/"
    assert "is sold out" in said(client)
    assert not Order.objects.exists()


def test_an_item_hidden_meanwhile_does_not_break_cart_and_order(client, shop):
    add(client)
    add(client, "book-01")
    client.post("/checkout/", ADDRESS)
    add(client)
    shop["books"][0].active = False
    shop["books"][0].save()
    assert client.get("/cart/").status_code == 200
    assert client.post("/cart/book-00/remove/").status_code == 302
    assert client.get("/cart/?removed=book-00&quantity=1").status_code == 200
    page = client.get(f"/order/{Order.objects.get().pk}/")
    assert b"Title 001" in page.content and b"/item/book-00/" not in page.content
    assert client.get("/account/").status_code == client.get("/account/history/").status_code == 200


@pytest.mark.parametrize(
    "values", [{"name": ""}, {"email": "nobody"}, {"address": ""}, {"name": "x" * 200}, {"name": "\x00"}, {"email": ""}]
)
def test_checkout_says_what_is_missing_beside_the_field(client, shop, values):
    add(client)
    page = client.post("/checkout/", {**ADDRESS, **values})
    name = next(iter(values))
    assert page.status_code == 200
    assert f'id="id_{name}_error"' in page.content.decode()
    assert 'aria-invalid="true"' in page.content.decode()
    assert not Order.objects.exists()


def test_checkout_states_that_nothing_is_charged(client, shop):
    add(client)
    assert "No payment is taken" in said(client, "/checkout/")


def test_checkout_without_a_cart_leads_back(client, shop):
    assert client.get("/checkout/").url == "/cart/"
    assert client.post("/checkout/", ADDRESS).url == "/cart/"


def test_a_form_sent_twice_leads_to_the_one_order(client, shop):
    add(client)
    client.post("/checkout/", ADDRESS)
    again = client.post("/checkout/", ADDRESS)
    assert again.url == f"/order/{Order.objects.get().pk}/"


def test_stock_goes_down(client, shop):
    shop["books"][0].stock = 5
    shop["books"][0].save()
    add(client, quantity="2")
    client.post("/checkout/", ADDRESS)
    shop["books"][0].refresh_from_db()
    assert shop["books"][0].stock == 3


def test_an_order_is_its_owner_s_alone(client, shop, reader):
    guest = Client()
    add(guest)
    guest.post("/checkout/", ADDRESS)
    order = Order.objects.get()
    assert guest.get(f"/order/{order.pk}/").status_code == 200
    assert reader.get(f"/order/{order.pk}/").status_code == 404
    assert Client().get(f"/order/{order.pk}/").status_code == 404
    assert b"ada@example.com" not in Client().get("/account/orders/").content


def test_prices_read_well(client, item):
    item("dear", title="Dear", price=Decimal("12345.50"))
    assert "£12,345.50" in said(client, "/item/dear/")
