"""API keys in the console: shown once, kept as a hash, revoked."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from recommender.models import ApiKey
from recommender.services import access
from recommender.services.errors import InvalidApiKey

pytestmark = [pytest.mark.django_db, pytest.mark.database]

ADD = "/admin/recommender/apikey/add/"
LIST = "/admin/recommender/apikey/"


def test_key_is_shown_once_and_kept_as_a_hash(console: Client) -> None:
    answer = console.post(ADD, {"name": "Phone", "scopes": ["read", "ingest"]})
    secret = answer.context["secret"]
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert f'value="{secret}"' in answer.content.decode()
    key = ApiKey.objects.get()
    assert (key.name, key.scopes) == ("Phone", ["ingest", "read"])
    assert key.created_by is not None
    assert key.created_by.username == "ada"
    assert secret not in str(ApiKey.objects.values().get())
    assert access.authenticate(secret) == key
    for address in (LIST, reverse("admin:recommender_apikey_change", args=[key.pk]), "/admin/"):
        html = console.get(address).content.decode()
        assert secret not in html
        assert key.key_hash not in html
    assert secret not in str(dict(console.session)) + str(console.cookies)


@pytest.mark.parametrize("values", [{"name": "Phone"}, {"scopes": ["read"]}, {"name": "Phone", "scopes": ["root"]}])
def test_name_and_known_scopes_are_required(console: Client, values: dict[str, object]) -> None:
    assert console.post(ADD, values).context["errors"]
    assert not ApiKey.objects.exists()


def test_revoke(console: Client) -> None:
    key, secret = access.create("Phone", ["read"])
    page = reverse("admin:recommender_apikey_change", args=[key.pk])
    revoke = reverse("admin:recommender_apikey_revoke", args=[key.pk])
    assert revoke in console.get(page).content.decode()
    console.get(revoke)
    assert access.authenticate(secret)
    console.post(revoke)
    with pytest.raises(InvalidApiKey):
        access.authenticate(secret)
    assert revoke not in console.get(page).content.decode()


def test_revoke_several(console: Client) -> None:
    keys = [access.create(name, ["read"])[0] for name in ("Phone", "Till")]
    console.post(LIST, {"action": "revoke", "_selected_action": [key.pk for key in keys]})
    assert not ApiKey.objects.filter(revoked_at=None).exists()


def test_keys_are_neither_edited_nor_deleted(console: Client) -> None:
    key, _ = access.create("Phone", ["read"])
    page = reverse("admin:recommender_apikey_change", args=[key.pk])
    assert console.post(page, {"name": "Mine", "scopes": ["admin"]}).status_code == 403
    assert console.post(reverse("admin:recommender_apikey_delete", args=[key.pk])).status_code == 403
    key.refresh_from_db()
    assert (key.name, key.scopes) == ("Phone", ["read"])


def test_permissions(staff: Callable[..., Client]) -> None:
    key, secret = access.create("Phone", ["read"])
    client = staff("view_apikey")
    assert client.get(ADD).status_code == 403
    assert client.post(reverse("admin:recommender_apikey_revoke", args=[key.pk])).status_code == 403
    client.post(LIST, {"action": "revoke", "_selected_action": [key.pk]})
    assert access.authenticate(secret)


def test_list_filters_by_state(console: Client) -> None:
    access.create("Phone", ["read"])
    access.revoke(access.create("Old till", ["read"])[0])
    assert "Old till" not in console.get(LIST, {"state": "valid"}).content.decode()
    assert "Phone" not in console.get(LIST, {"state": "revoked"}).content.decode()
