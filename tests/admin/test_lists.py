"""Lists with nonsense in their address or form: an answer, never a fault."""

import pytest
from django.test import Client

from recommender.models import Item

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.mark.parametrize(
    "name", ["apikey", "category", "event", "item", "order", "publication", "review", "run", "visitor"]
)
def test_three_thousand_words_are_searched_for_as_far_as_it_makes_sense(
    console: Client, shop: list[Item], name: str
) -> None:
    assert console.get(f"/admin/recommender/{name}/", {"q": "a " * 3000}).status_code == 200


@pytest.mark.parametrize("name", ["apikey", "run", "visitor"])
def test_a_year_beyond_every_calendar_leads_back(console: Client, name: str) -> None:
    answer = console.get(f"/admin/recommender/{name}/?created_at__year=99999999999", follow=True)
    assert answer.status_code == 200
    assert "cannot be looked up" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("chosen", ["nope", "\x00", "9" * 40])
@pytest.mark.parametrize(("name", "action"), [("apikey", "revoke"), ("review", "hide"), ("item", "deactivate")])
def test_rows_that_cannot_be_meant_change_nothing(
    console: Client, shop: list[Item], name: str, action: str, chosen: str
) -> None:
    form = {"action": action, "_selected_action": [chosen], "index": "0"}
    assert console.post(f"/admin/recommender/{name}/", form, follow=True).status_code == 200
    assert not Item.objects.filter(active=False).exists()
