"""Accounts: registering, logging in and out. What the guest did comes along into the account."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import login, logout, views
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from recommender.services.screening import log_ins, velocity
from recommender.storefront.forms import LoginForm, PasswordForm, RegisterForm
from recommender.storefront.visitor import client, renew_guest, welcome


class LogIn(views.LoginView):
    template_name = "storefront/account/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        one = log_ins.start(request.POST.get("username", ""), request.META, request.COOKIES)
        response = super().post(request, *args, **kwargs)
        if cookie := one.ended(well=response.status_code == 302):
            response.set_cookie(**cookie)
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        moved = welcome(self.request, form.get_user())
        response = super().form_valid(form)
        _greet(self.request, f"Welcome back, {form.get_user().get_username()}.", moved)
        return response


class ChangePassword(LoginRequiredMixin, views.PasswordChangeView):
    template_name = "storefront/account/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("storefront:account")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    target = _safe_next(request)
    if request.user.is_authenticated:
        return redirect(target or "storefront:account")
    form = RegisterForm(request.POST or None)
    if request.method == "POST":
        velocity.account(client(request))
    if request.method == "POST" and form.is_valid() and (user := _made(form)):
        moved = welcome(request, user)
        login(request, user)
        _greet(request, f"Welcome, {user.get_username()}. Your account is ready.", moved)
        return redirect(target or "storefront:home")
    context = {"form": form, "next": target}
    return render(request, "storefront/account/register.html", context)


def _made(form: RegisterForm) -> User | None:
    """The new account; None, with the reason on the form, when another request took the name at this very moment."""
    try:
        with transaction.atomic():
            return form.save()
    except IntegrityError:
        form.add_error("username", "Somebody has just taken that name; choose another.")
        return None


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    renew_guest(request)
    messages.success(request, "You are logged out.")
    return redirect(resolve_url("storefront:home"))


def _greet(request: HttpRequest, words: str, moved: int) -> None:
    if moved:
        words += " What you looked at before came along, so the shelves go on knowing your taste."
    messages.success(request, words)


def _safe_next(request: HttpRequest) -> str:
    """Where to go afterwards, only within this site."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if safe else ""
