"""API keys: made here, shown once, revoked; never edited and never deleted."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin.forms import ApiKeyForm
from recommender.admin.lists import SteadyList
from recommender.models import ApiKey
from recommender.services import access

SHOWN = ["name", "start", "scope_list", "created_by", "created_at", "last_used_at", "revoked_at"]


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("valid", "Valid"), ("revoked", "Revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        return queryset.filter(revoked_at__isnull=self.value() == "valid") if self.value() else queryset


@admin.register(ApiKey)
class ApiKeyAdmin(SteadyList):
    change_form_template = "admin/recommender/apikey/change_form.html"
    form = ApiKeyForm
    list_display = ["name", "start", "scope_list", "created_by", "created_at", "last_used_at", "state"]
    list_filter = [StateFilter]
    list_select_related = ["created_by"]
    search_fields = ["name", "prefix__exact"]
    actions = ["revoke"]

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[Any]:
        return SHOWN if obj else ["name", "scopes"]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> list[str]:
        return SHOWN if obj else []

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recommender.change_apikey")

    @admin.display(description="Key")
    def start(self, key: ApiKey) -> SafeString:
        return format_html("<code>{}…</code>", key.prefix)

    @admin.display(description="Scopes")
    def scope_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="State", ordering="revoked_at")
    def state(self, key: ApiKey) -> SafeString:
        kind, word = ("cancelled", "revoked") if key.revoked_at else ("succeeded", "valid")
        return format_html('<span class="badge badge-{}">{}</span>', kind, word)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        made, secret = access.create(form.cleaned_data["name"], form.cleaned_data["scopes"], by=request.user)
        obj.pk, obj.prefix = made.pk, made.prefix
        # For response_add, and for nothing else.
        request.new_api_key = secret  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the key in this very answer, which nobody stores; a redirect would have to keep it in a cookie."""
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "The key, shown this once",
            "key": obj,
            "secret": request.new_api_key,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/recommender/apikey/made.html", context)

    @admin.action(description="Revoke: stop them from working at once", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiKey]) -> None:
        valid = list(chosen.filter(revoked_at=None))
        for key in valid:
            access.revoke(key)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"{len(valid)} keys were revoked.", messages.SUCCESS)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke_view)
        return [path("<int:key_id>/revoke/", view, name="recommender_apikey_revoke"), *super().get_urls()]

    def revoke_view(self, request: HttpRequest, key_id: int) -> HttpResponse:
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        key = get_object_or_404(ApiKey, pk=key_id)
        page = reverse("admin:recommender_apikey_change", args=[key.pk])
        if request.method == "POST":
            access.revoke(key)
            self.log_change(request, key, "Revoked.")
            messages.success(request, f"{key} is revoked: programs that use it are refused from now on.")
            return HttpResponseRedirect(page)
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": f"Revoke {key}?", "key": key}
        return TemplateResponse(request, "admin/recommender/apikey/revoke.html", context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context |= {
            "can_revoke": self.has_revoke_permission(request),
            # Every new key is shown on a page of its own, whichever button made it.
            "show_save_and_add_another": False,
            "show_save_and_continue": False,
        }
        return super().render_change_form(request, context, *args, **kwargs)
