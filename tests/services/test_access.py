"""API keys."""

from datetime import timedelta

import pytest
from django.utils import timezone

from recommender.models import ApiKey
from recommender.services import access
from recommender.services.errors import InvalidApiKey, InvalidInput, MissingScope

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def test_a_key_opens_the_door_and_is_stored_as_a_hash_only():
    key, secret = access.create(" till ", ["read", "ingest", "read"])
    assert access.authenticate(secret) == key
    assert (key.name, key.scopes) == ("till", ["ingest", "read"])
    stored = str(ApiKey.objects.values().get())
    assert secret not in stored and secret[access.PREFIX_LENGTH :] not in stored


def test_no_two_keys_are_alike():
    assert len({access.create("till", ["read"])[1] for _ in range(20)}) == 20


@pytest.mark.parametrize("secret", ["", "rs_", "rs_" + "a" * 43, "é", "\x00", "x" * 10_000])
def test_what_is_no_key_is_refused(secret):
    key, real = access.create("till", ["read"])
    for wrong in (secret, real[:-1], real + "x", key.key_hash, key.prefix):
        with pytest.raises(InvalidApiKey):
            access.authenticate(wrong)


def test_a_revoked_key_stops_at_once_and_stays_as_a_record():
    key, secret = access.create("till", ["read"])
    access.revoke(key)
    with pytest.raises(InvalidApiKey):
        access.authenticate(secret)
    first = ApiKey.objects.get().revoked_at
    access.revoke(key)
    assert ApiKey.objects.get().revoked_at == first


@pytest.mark.parametrize(
    ("name", "scopes"),
    [("", ["read"]), (" ", ["read"]), ("x" * 81, ["read"]), ("till", []), ("till", ["write"]), ("till", "read")],
)
def test_a_key_needs_a_name_and_known_scopes(name, scopes):
    with pytest.raises(InvalidInput):
        access.create(name, scopes)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("scope", ["ingest", "read"])
def test_a_scope_is_asked_for(scope):
    key, _ = access.create("till", [scope])
    access.require(key, scope)
    for other in {"ingest", "read", "admin"} - {scope}:
        with pytest.raises(MissingScope):
            access.require(key, other)


def test_the_admin_scope_includes_the_others():
    key, _ = access.create("till", ["admin"])
    for scope in ("ingest", "read", "admin"):
        access.require(key, scope)


def test_a_key_is_asked_for_again_within_seconds(monkeypatch, django_assert_num_queries):
    key, secret = access.create("till", ["read"])
    access.authenticate(secret)
    with django_assert_num_queries(0):
        assert access.authenticate(secret) == key
    ApiKey.objects.update(revoked_at=timezone.now())  # by another process
    monkeypatch.setattr(access, "KNOWN_FOR_S", 0)
    with pytest.raises(InvalidApiKey):
        access.authenticate(secret)


def test_the_last_use_is_noted_once_a_minute(monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(access, "KNOWN_FOR_S", 0)
    _, secret = access.create("till", ["read"])
    access.authenticate(secret)
    noted = ApiKey.objects.get().last_used_at
    with django_assert_num_queries(1):
        access.authenticate(secret)
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    access.authenticate(secret)
    assert ApiKey.objects.get().last_used_at > noted
