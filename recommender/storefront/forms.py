"""The shop's forms."""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, UserCreationForm

from recommender.models import Review
from recommender.services import orders


class QuantityForm(forms.Form):
    quantity = forms.IntegerField(min_value=1, max_value=orders.MAX_QUANTITY, initial=1)


class LineForm(forms.Form):
    """A line of the cart; 0 takes it out."""

    quantity = forms.IntegerField(min_value=0, max_value=orders.MAX_QUANTITY)


class ReviewForm(forms.ModelForm):
    stars = forms.TypedChoiceField(
        label="Your rating",
        coerce=int,
        choices=[(5, "5 stars"), (4, "4 stars"), (3, "3 stars"), (2, "2 stars"), (1, "1 star")],
        widget=forms.RadioSelect,
        error_messages={"required": "Choose 1 to 5 stars."},
    )

    class Meta:
        model = Review
        fields = ("stars", "title", "body", "author_name")
        labels = {"title": "Headline (optional)", "body": "Your review (optional)", "author_name": "Name to show"}
        widgets = {"body": forms.Textarea(attrs={"rows": 5})}


class CheckoutForm(forms.Form):
    name = forms.CharField(max_length=120, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    email = forms.EmailField(label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    address = forms.CharField(
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "street-address"}),
        help_text="Street, postcode, town and country.",
    )

    def to(self) -> orders.Address:
        return orders.Address(**self.cleaned_data)


class LoginForm(AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "That user name and password do not go together. Passwords are case-sensitive.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"


class RegisterForm(UserCreationForm):
    email = forms.EmailField(
        label="E-mail (optional)", required=False, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    class Meta(UserCreationForm.Meta):
        model = get_user_model()
        fields = ("username", "email")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"
        self.fields["username"].help_text = "Letters, digits and @ . + - _"
        self.fields["password1"].help_text = "At least 8 characters, not only digits, not a common password."
        self.fields["password2"].label = "Password again"
        self.fields["password2"].help_text = ""


class PasswordForm(PasswordChangeForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = "At least 8 characters, not only digits, not a common password."
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""
