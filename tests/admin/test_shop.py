"""The shop's tables in the console: items, categories, reviews."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from recommender.models import Category, Item, Review

pytestmark = [pytest.mark.django_db, pytest.mark.database]

LIST = "/admin/recommender/item/"


def form_of(console: Client, item: Item) -> dict[str, str]:
    """What a browser would send back from an item's page, untouched."""
    context = console.get(reverse("admin:recommender_item_change", args=[item.pk])).context
    forms = [
        context["adminform"].form,
        *(inline.formset.management_form for inline in context["inline_admin_formsets"]),
    ]
    values = {field.html_name: field.value() for form in forms for field in form if field.name != "sound"}
    for inline in context["inline_admin_formsets"]:
        values |= {f"{inline.formset.prefix}-INITIAL_FORMS": 0, f"{inline.formset.prefix}-TOTAL_FORMS": 0}
    added = values.pop("added_at")
    return {
        **{name: value for name, value in values.items() if value is not None and value is not False},
        "initial-stock": values["stock"],
        "attributes": "{}",
        "added_at_0": added.strftime("%Y-%m-%d"),
        "added_at_1": added.strftime("%H:%M:%S"),
    }


def test_item_with_events_is_deactivated_instead_of_deleted(console: Client, shop: list[Item]) -> None:
    address = reverse("admin:recommender_item_delete", args=["item-0"])
    assert "cannot be deleted" in console.get(address).content.decode()
    answer = console.post(address, {"post": "yes"}, follow=True)
    assert "was deactivated, not deleted" in answer.content.decode()
    assert not Item.objects.get(pk="item-0").active


def test_item_with_orders_only_is_deactivated_too(console: Client, shop: list[Item]) -> None:
    console.post(reverse("admin:recommender_item_delete", args=["item-4"]), {"post": "yes"})
    assert not Item.objects.get(pk="item-4").active


def test_unused_item_can_be_deleted(console: Client, shop: list[Item]) -> None:
    console.post(reverse("admin:recommender_item_delete", args=["item-5"]), {"post": "yes"})
    assert not Item.objects.filter(pk="item-5").exists()


def test_items_are_not_deleted_in_bulk(console: Client, shop: list[Item]) -> None:
    console.post(LIST, {"action": "delete_selected", "_selected_action": ["item-5"], "post": "yes"})
    assert Item.objects.filter(pk="item-5").exists()


def test_deleting_needs_its_permission(staff: Callable[..., Client], shop: list[Item]) -> None:
    client = staff("view_item", "change_item")
    for item in ("item-0", "item-5"):
        assert client.post(reverse("admin:recommender_item_delete", args=[item]), {"post": "yes"}).status_code == 403
    assert Item.objects.filter(active=True).count() == 6


def test_activate_and_deactivate(console: Client, shop: list[Item]) -> None:
    chosen = {"_selected_action": ["item-0", "item-1"]}
    console.post(LIST, {"action": "deactivate", **chosen})
    assert Item.objects.filter(active=False).count() == 2
    console.post(LIST, {"action": "activate", **chosen})
    assert not Item.objects.filter(active=False).exists()


def test_saving_a_page_keeps_what_was_sold_meanwhile(console: Client, shop: list[Item]) -> None:
    sent = form_of(console, shop[1])
    Item.objects.filter(pk="item-1").update(stock=2)  # three are sold while the page is open
    answer = console.post(
        reverse("admin:recommender_item_change", args=["item-1"]), {**sent, "title": "A better title"}
    )
    assert answer.status_code == 302, answer.context["errors"]
    item = Item.objects.get(pk="item-1")
    assert (item.title, item.stock) == ("A better title", 2)


def test_stock_can_be_set(console: Client, shop: list[Item]) -> None:
    sent = form_of(console, shop[1])
    console.post(reverse("admin:recommender_item_change", args=["item-1"]), {**sent, "stock": "9"})
    assert Item.objects.get(pk="item-1").stock == 9


def test_list_edits_price_and_keeps_stock(console: Client, shop: list[Item]) -> None:
    formset = console.get(LIST).context["cl"].formset
    sent = {f"form-{name}": value for name, value in formset.management_form.initial.items()}
    for form in formset:
        sent |= {form[name].html_name: form[name].value() for name in ("id", "price", "stock", "active")}
        sent[f"initial-{form['stock'].html_name}"] = form["stock"].value()
    first = formset.forms[0]
    sent |= {first["price"].html_name: "12.00", "_save": "Save"}
    Item.objects.update(stock=1)
    console.post(LIST, sent)
    item = Item.objects.get(pk=first.instance.pk)
    assert (str(item.price), item.stock) == ("12.00", 1)


def test_id_of_an_item_stays(console: Client, shop: list[Item]) -> None:
    sent = form_of(console, shop[1])
    console.post(reverse("admin:recommender_item_change", args=["item-1"]), {**sent, "id": "other"})
    assert Item.objects.filter(pk="item-1").exists()
    assert not Item.objects.filter(pk="other").exists()


@pytest.mark.parametrize(("choice", "found"), [("out", 1), ("low", 4), ("free", 1)])
def test_stock_filter(console: Client, shop: list[Item], choice: str, found: int) -> None:
    Item.objects.filter(pk="item-0").update(stock=0)
    Item.objects.filter(pk="item-1").update(stock=None)
    assert console.get(LIST, {"stock": choice}).context["cl"].result_count == found


def test_category_can_be_added(console: Client) -> None:
    console.post("/admin/recommender/category/add/", {"slug": "maps", "name": "Maps", "position": "3"})
    assert Category.objects.get().name == "Maps"


def test_hide_and_show_reviews(console: Client, shop: list[Item]) -> None:
    review = Review.objects.get()
    address = "/admin/recommender/review/"
    console.post(address, {"action": "hide", "_selected_action": [review.pk]})
    review.refresh_from_db()
    assert review.hidden
    console.post(address, {"action": "unhide", "_selected_action": [review.pk]})
    review.refresh_from_db()
    assert not review.hidden


def test_hiding_reviews_needs_the_permission(staff: Callable[..., Client], shop: list[Item]) -> None:
    review = Review.objects.get()
    staff("view_review").post("/admin/recommender/review/", {"action": "hide", "_selected_action": [review.pk]})
    review.refresh_from_db()
    assert not review.hidden


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": NaN}', '{"a": "\\ud800"}', '{"a": "\\u0000"}', "[1]", '"x"', "{"]
)
def test_attributes_that_a_database_or_a_page_would_choke_on_are_refused(
    console: Client, shop: list[Item], text: str
) -> None:
    values = form_of(console, shop[0]) | {"attributes": text}
    answer = console.post(reverse("admin:recommender_item_change", args=[shop[0].pk]), values)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["attributes"]


def test_no_attributes_are_an_empty_object(console: Client, shop: list[Item]) -> None:
    values = form_of(console, shop[0]) | {"attributes": ""}
    assert console.post(reverse("admin:recommender_item_change", args=[shop[0].pk]), values).status_code == 302
    assert Item.objects.get(pk=shop[0].pk).attributes == {}
