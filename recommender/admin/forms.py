"""What staff fill in on the console."""

import json
from typing import Any

from django import forms

from recommender.conf import conf
from recommender.engine.trainers import TRAINERS
from recommender.models import ApiKey, Run
from recommender.services import catalogue
from recommender.services.errors import InvalidInput
from recommender.services.publishing import MAX_REASON


def _trainers() -> list[tuple[str, str]]:
    return [("", f"{conf().trainer} (the site's own)"), *((name, name) for name in TRAINERS)]


class TrainForm(forms.Form):
    trainer = forms.ChoiceField(choices=_trainers, required=False)
    reason = forms.CharField(max_length=Run.MAX_REASON, required=False, help_text="Optional; stays on the run.")
    config = forms.CharField(
        required=False,
        label="Settings (JSON)",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 48, "spellcheck": "false", "placeholder": '{"factors": 96}'}),
        help_text="Instead of the site's. What you leave out is the trainer's default; an unknown name is refused.",
    )

    def clean_config(self) -> dict[str, Any] | None:
        text = self.cleaned_data["config"]
        if not text.strip():
            return None
        try:
            values = json.loads(text)
            json.dumps(values, allow_nan=False)  # json.loads takes NaN and 1e999, which no database stores as JSON
        except json.JSONDecodeError as error:
            raise forms.ValidationError(
                f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
            ) from error
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This cannot be used: {error}.") from error
        if not isinstance(values, dict):
            raise forms.ValidationError('Give an object, such as {"factors": 96}.')
        return values


class CarefulJson(json.JSONDecoder):
    """Takes what no page could show again (nested too deeply, half a surrogate pair) for no JSON at all."""

    def decode(self, text: str, *args: Any) -> Any:
        try:
            found = super().decode(text, *args)
            json.dumps(found, ensure_ascii=False).encode()
        except (RecursionError, UnicodeEncodeError) as error:
            raise json.JSONDecodeError("It cannot be shown", "", 0) from error
        return found


class ItemForm(forms.ModelForm):
    def clean_attributes(self) -> dict[str, Any]:
        values = self.cleaned_data["attributes"] or {}
        try:
            catalogue.check_attributes(values)
        except InvalidInput as error:
            raise forms.ValidationError(error.detail) from error
        return values


class ReasonForm(forms.Form):
    reason = forms.CharField(
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 60}),
        help_text="Required; it is kept in the history.",
        error_messages={"required": "Give a reason; it is kept in the history."},
    )


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope,
        widget=forms.CheckboxSelectMultiple,
        help_text="What the key may do. The admin scope includes the others.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scopes"]
