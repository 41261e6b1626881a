"""Visitors, and what a guest brings along into an account."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from recommender.models import CartLine, Event, Order, Review, Visitor
from recommender.services import events, orders, people, reviews
from recommender.services.errors import InvalidInput
from tests.services.conftest import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.mark.parametrize(
    ("visitor_id", "kind"),
    [("guest:1", "guest"), ("session:1", "guest"), ("account:1", "account"), ("ada", "external")],
)
def test_the_kind_follows_from_the_id(visitor_id, kind):
    assert people.ensure(visitor_id).kind == kind


def test_a_visitor_is_made_once():
    assert people.ensure("ada").pk == people.ensure("ada").pk
    assert Visitor.objects.count() == 1


def test_a_new_guest_is_nobody_else():
    assert people.new_guest_id() != people.new_guest_id()


def test_an_accounts_visitor_knows_its_account():
    user = User.objects.create_user("ada")
    assert people.ensure_for_account(user).account == user


def test_an_account_that_an_api_client_named_first_still_finds_its_shopper():
    user = User.objects.create_user("ada")
    people.ensure(people.visitor_id_for_account(user))
    assert people.ensure_for_account(user).account == user
    assert Visitor.objects.get().account == user


@pytest.mark.parametrize(
    ("user_id", "session_id"),
    [
        (None, None),
        ("", ""),
        ("a", "b"),
        (5, None),
        (None, 5),
        (["a"], None),
        (None, ["a"]),
        (True, None),
        ("a b", None),
        ("a/b", None),
        ("x" * 129, None),
        (None, "x" * 121),
        ("\ud800", None),
        ("guest:1", None),
        ("session:1", None),
    ],
)
def test_a_client_names_exactly_one_valid_visitor(user_id, session_id):
    with pytest.raises(InvalidInput):
        people.client_visitor_id(user_id, session_id)


def test_a_clients_session_cannot_be_taken_for_a_user():
    assert people.client_visitor_id("ada", None) == "ada"
    assert people.client_visitor_id(None, "ada") == "session:ada"
    assert people.client_visitor_id("account:5", None) == "account:5"


def test_events_and_orders_move_to_the_account(items, guest, account):
    events.record(guest, items["sea-00"], "view")
    orders.add(guest, items["sea-00"], 2)
    order = orders.place(guest, orders.Address("Ada", "ada@shop.example", "1 Street"))
    assert people.merge(guest.pk, account) == 3  # a view, a cart, a purchase
    assert set(Event.objects.values_list("visitor_id", flat=True)) == {account.pk}
    assert Order.objects.get().pk == order.pk and Order.objects.get().visitor == account
    assert people.ensure(guest.pk) == account


def test_carts_add_up(items, guest, account):
    orders.add(guest, items["sea-00"], 2)
    orders.add(guest, items["sea-01"], 1)
    orders.add(account, items["sea-00"], 3)
    people.merge(guest.pk, account)
    assert dict(CartLine.objects.filter(visitor=account).values_list("item_id", "quantity")) == {
        "sea-00": 5,
        "sea-01": 1,
    }
    assert not CartLine.objects.filter(visitor=guest).exists()


@pytest.mark.parametrize(("stock", "expected"), [(None, 99), (80, 80), (10, 60)])
def test_carts_add_up_to_what_can_be_ordered(items, guest, account, stock, expected):
    """Never below what the account's own cart held."""
    for visitor in (guest, account):
        orders.add(visitor, items["sea-00"], 60)
    type(items["sea-00"]).objects.filter(pk="sea-00").update(stock=stock)
    people.merge(guest.pk, account)
    assert CartLine.objects.get().quantity == expected


def test_reviews_move_and_of_two_the_later_stays(items, guest, account):
    reviews.write(guest, items["sea-00"], 4, body="only the guest's")
    reviews.write(guest, items["sea-01"], 4, body="the guest's is later")
    reviews.write(guest, items["sea-02"], 4, body="the guest's is earlier")
    for item_id, hours in (("sea-01", -1), ("sea-02", 1)):
        mine = reviews.write(account, items[item_id], 2, body=f"own {item_id}")
        Review.objects.filter(pk=mine.pk).update(created_at=timezone.now() + timedelta(hours=hours))
    people.merge(guest.pk, account)
    assert dict(Review.objects.filter(visitor=account).values_list("item_id", "body")) == {
        "sea-00": "only the guest's",
        "sea-01": "the guest's is later",
        "sea-02": "own sea-02",
    }
    assert Review.objects.count() == 3


def test_merging_twice_changes_nothing_more(items, guest, account):
    events.record(guest, items["sea-00"], "view")
    orders.add(guest, items["sea-00"])
    assert people.merge(guest.pk, account) == 2
    assert people.merge(guest.pk, account) == 0
    assert CartLine.objects.get().quantity == 1


def test_a_guest_becomes_one_account_only(items, guest, account):
    people.merge(guest.pk, account)
    other = people.ensure_for_account(User.objects.create_user("bob"))
    assert people.merge(guest.pk, other) == 0
    assert people.ensure(guest.pk) == account


@pytest.mark.parametrize("who", ["self", "account", "external", "nobody"])
def test_only_a_guest_can_be_merged(items, account, who):
    other = people.ensure_for_account(User.objects.create_user("bob"))
    name = {"self": account.pk, "account": other.pk, "external": people.ensure("bob").pk, "nobody": "guest:0"}[who]
    events.record(other, items["sea-00"], "view")
    assert people.merge(name, account) == 0
    assert not Visitor.objects.exclude(merged_into=None).exists()
    assert Event.objects.get().visitor == other


@pytest.mark.django_db(transaction=True)
def test_a_login_form_sent_twice_merges_once(items, guest, account):
    orders.add(guest, items["sea-00"], 2)
    orders.add(account, items["sea-00"], 3)
    moved = at_once(lambda: people.merge(guest.pk, account), lambda: people.merge(guest.pk, account))
    assert sorted(moved) == [0, 1]
    assert CartLine.objects.get().quantity == 5
