"""What a database can store: neither a NUL nor half of a surrogate pair, however deep it stands."""

import pytest

from recommender.services.texts import storable


@pytest.mark.parametrize("value", ["", "é 𝄞", 5, None, True, {"a": ["b", {"c": "d"}]}, ("a", "b")])
def test_ordinary_texts_and_values_are_storable(value):
    assert storable(value)


@pytest.mark.parametrize("odd", ["\x00", "a\x00b", "\ud800", "x\udfff"])
def test_an_odd_character_is_found_wherever_it_stands(odd):
    for value in (odd, [odd], (1, odd), {"name": odd}, {odd: "value"}, {"a": [{"b": ["c", odd]}]}):
        assert not storable(value)
