"""What staff fill in for a rule, and the help with its language."""

import hashlib
import json
from typing import Any

from django import forms
from django.core.serializers.json import DjangoJSONEncoder

from recommender.models import Rule
from recommender.services import rules

SHELVES = {
    "": "every shelf",
    "for-you": "for-you: picked for the visitor",
    "popular": "popular",
    "trending": "trending",
    "new": "new",
    "similar": "similar: beside an item",
    "together": "together: bought with an item",
}
"""The shelves that go by rules."""
NEEDS = {"amount": ("boost", "bury", "limit"), "position": ("pin",)}
"""Fields that mean something for these actions only."""
FIELDS = [
    "name", "action", "condition", "position", "amount", "shelf", "priority", "starts_at", "ends_at", "note",
]  # fmt: skip
LANGUAGE = [
    ("category", "its slug, or that of its department", 'category = "prints"'),
    ("price", "a number; below, above, one of", "price < 20"),
    ("stock, in_stock", "pieces left; in_stock also where none are counted", "in_stock and not stock < 3"),
    ("tag", "one of its tags", 'tag in ("gift", "offer")'),
    ("title, creator, id", "exactly so, or contains in either case", 'creator contains "hokusai"'),
    ("attributes.NAME", "a text, a number, true or false; has for lists", 'attributes.format = "A3"'),
    ("added_at, age_days", "a day, or whole days since", "age_days < 30 or added_at >= 2026-03-01"),
    ("active", "whether the shop shows it", "active"),
    ("anything that may be missing", "is empty, is not empty", "price is not empty"),
    ("put together", "and, or, not, parentheses", 'not (category = "books" or price > 50)'),
]
"""What can be asked, in words, with an example each."""


class LocalTime(forms.DateTimeInput):
    """The browser's own field for a date and a time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class RuleForm(forms.ModelForm):
    """`visitor` is whose list the preview shows; nothing of it is saved."""

    shelf = forms.ChoiceField(required=False, help_text="Where it acts.")
    visitor = forms.CharField(
        required=False,
        max_length=128,
        label="Preview for visitor",
        help_text="An id. Without one, those who did something last.",
    )

    class Meta:
        model = Rule
        fields = FIELDS
        widgets = {
            "condition": forms.Textarea(attrs={"rows": 3, "cols": 60, "spellcheck": "false", "autocapitalize": "off"}),
            "starts_at": LocalTime(),
            "ends_at": LocalTime(),
            "note": forms.TextInput(attrs={"size": 60}),
        }
        help_texts = {
            "name": "Shoppers may read it where they ask why something is shown.",
            "condition": "Which items it is about; see below what can be said.",
            "amount": "Boost: a factor above 1. Bury: one below 1. Limit: how many of a list may match.",
            "position": "From 1. The best match stands there, or else at the next free place.",
            "priority": "Where rules compete, the higher one comes first.",
            "starts_at": "Empty: at once.",
            "ends_at": "Empty: for good.",
            "note": "For colleagues: why there is this rule.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = self.instance.shelf
        choices = SHELVES if known in SHELVES else {**SHELVES, known: known}
        self.fields["shelf"].choices = list(choices.items())  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        for name, actions in NEEDS.items():
            if values.get("action") and values["action"] not in actions:
                values[name] = None
                self.errors.pop(name, None)
        draft = Rule(**{name: values[name] for name in FIELDS if name in values})
        for name, problem in rules.problems(draft).items():
            if name not in self.errors:
                self.add_error(name, problem)
        return values

    @property
    def mark(self) -> str:
        """Of what a preview showed: where anybody changes a word afterwards, it has to be looked at again."""
        shown = [self.instance.updated_at, *(self.cleaned_data[name] for name in FIELDS)]
        values = json.dumps(shown, cls=DjangoJSONEncoder)
        return hashlib.sha256(values.encode()).hexdigest()
