"""What staff fill in for an experiment and its variants."""

from typing import Any

from django import forms
from django.contrib import admin

from recommender.admin.forms import CarefulJson
from recommender.models import Experiment, Run, Variant
from recommender.services.errors import InvalidInput
from recommender.services.experiments import life


class ExperimentForm(forms.ModelForm):
    class Meta:
        model = Experiment
        fields = ["name", "description", "metric", "share", "least_effect", "baseline", "most_days"]
        help_texts = {
            "name": "Letters, digits, hyphens. It also salts who gets which variant, so each experiment divides anew.",
            "metric": "What decides. Each visitor counts once.",
            "share": "Of visitors who take part, from 0 to 1. The others are served as ever.",
        }

    def clean_share(self) -> float:
        share: float = self.cleaned_data["share"]
        if not share > 0:  # also "nan"
            raise forms.ValidationError("Somebody has to take part: give a share above 0.")
        return share


class VariantForm(forms.ModelForm):
    class Meta:
        model = Variant
        fields = ["name", "control", "weight", "run", "settings", "rules"]
        widgets = {
            "name": forms.TextInput(attrs={"size": 12}),
            "weight": forms.NumberInput(attrs={"size": 5, "step": "any"}),
        }
        labels = {"run": "Model of run", "settings": "Settings (JSON)", "rules": "Business rules act"}

    settings = forms.JSONField(
        required=False,
        decoder=CarefulJson,
        label="Settings (JSON)",
        widget=forms.Textarea(attrs={"rows": 2, "cols": 28, "spellcheck": "false", "placeholder": '{"explore": 1}'}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        usable = Run.objects.filter(status__in=(Run.Status.SUCCEEDED, Run.Status.REFUSED)).exclude(artifact="")
        run = self.fields["run"]
        assert isinstance(run, forms.ModelChoiceField)
        run.queryset = usable.defer("metrics", "screening", "stages")
        run.empty_label = "the live one"
        self.fields["settings"].help_text = f"Possible: {', '.join(life.settable())}."

    def clean_settings(self) -> dict[str, Any]:
        values = self.cleaned_data["settings"] or {}
        try:
            life.check_settings(values)
        except InvalidInput as error:
            raise forms.ValidationError(error.detail) from error
        return dict(values)


class VariantFormSet(forms.BaseInlineFormSet):
    def clean(self) -> None:
        """One control, and something to compare with it."""
        super().clean()
        if any(self.errors):
            return
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        if len(kept) < 2:
            raise forms.ValidationError("Name two variants at least: what there is, and what may be better.")
        if sum(bool(one.get("control")) for one in kept) != 1:
            raise forms.ValidationError("Mark one variant as the control, which the others are compared with.")


class VariantInline(admin.TabularInline):
    model = Variant
    form = VariantForm
    formset = VariantFormSet
    extra = 0
    min_num = 2
    max_num = 6
    verbose_name_plural = "Variants: what is not set is as it is for everybody"
