"""Items with their pictures, and the categories they stand in."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Field, QuerySet
from django.forms import Field as FormField
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recommender.admin.forms import CarefulJson, ItemForm
from recommender.admin.lists import SteadyList
from recommender.models import Category, Item, Picture
from recommender.services import catalogue


class StockFilter(admin.SimpleListFilter):
    title = "stock"
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("out", "Sold out"), ("low", "5 or fewer left"), ("free", "Not counted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Item]) -> QuerySet[Item]:
        chosen: dict[str | None, dict[str, Any]] = {
            "out": {"stock": 0},
            "low": {"stock__gt": 0, "stock__lte": 5},
            "free": {"stock": None},
        }
        return queryset.filter(**chosen.get(self.value(), {}))


class PictureInline(admin.TabularInline):
    model = Picture
    extra = 0
    fields = ["shown", "file", "alt", "position"]
    readonly_fields = ["shown"]

    @admin.display(description="Picture")
    def shown(self, picture: Picture) -> str | SafeString:
        return _image(picture)


@admin.register(Item)
class ItemAdmin(SteadyList):
    form = ItemForm
    list_display = ["thumbnail", "title", "creator", "category", "price", "stock", "active"]
    list_display_links = ["thumbnail", "title"]
    list_editable = ["price", "stock", "active"]
    list_filter = ["active", StockFilter, "category"]
    list_select_related = ["category"]
    list_per_page = 50
    search_fields = ["title", "creator", "id"]
    show_full_result_count = False
    actions = ["activate", "deactivate"]
    inlines = [PictureInline]
    readonly_fields = ["updated_at"]
    fieldsets = [
        (None, {"fields": ["id", "title", "creator", "description", "category"]}),
        ("Selling", {"fields": ["price", "stock", "active"]}),
        ("More", {"fields": ["sound", "attributes", "added_at", "updated_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        return super().get_queryset(request).prefetch_related("pictures")

    def get_readonly_fields(self, request: HttpRequest, obj: Item | None = None) -> list[str]:
        # Another id would make another item and leave this one's events behind.
        return [*self.readonly_fields, "id"] if obj else list(self.readonly_fields)

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> FormField | None:
        if db_field.name == "stock":
            # Compare with what the page showed, so that stock sold while it was open is not put back by saving it.
            kwargs["show_hidden_initial"] = True
        if db_field.name == "attributes":
            kwargs["decoder"] = CarefulJson
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Item, form: ModelForm, change: bool) -> None:
        obj.save(update_fields=[*form.changed_data, "updated_at"] if change else None)

    @admin.display(description="Picture")
    def thumbnail(self, item: Item) -> str | SafeString:
        return _image(item.first_picture)

    @admin.action(description="Activate: show them in the shop", permissions=["change"])
    def activate(self, request: HttpRequest, chosen: QuerySet[Item]) -> None:
        self.message_user(request, f"{catalogue.set_active(chosen, True)} items are active.", messages.SUCCESS)

    @admin.action(description="Deactivate: hide them, keep their history", permissions=["change"])
    def deactivate(self, request: HttpRequest, chosen: QuerySet[Item]) -> None:
        self.message_user(request, f"{catalogue.set_active(chosen, False)} items are inactive.", messages.SUCCESS)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)  # deactivating is what is meant; a single unused item can be deleted
        return actions

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """An item that events or orders point at is deactivated instead: what was learned and sold names it."""
        item = self.get_object(request, unquote(object_id))
        if item is None or not catalogue.in_use(item):
            return super().delete_view(request, object_id, extra_context)
        if not self.has_delete_permission(request, item):
            raise PermissionDenied
        if request.method == "POST":
            catalogue.set_active(Item.objects.filter(pk=item.pk), False)
            text = f"“{item}” was deactivated, not deleted: visitors' events and orders point at it."
            messages.warning(request, text)
            self.log_change(request, item, "Deactivated instead of deleted.")
            return HttpResponseRedirect(reverse("admin:recommender_item_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "This item cannot be deleted",
            "object": item,
        }
        return TemplateResponse(request, "admin/recommender/item/deactivate.html", context)


@admin.register(Category)
class CategoryAdmin(SteadyList):
    list_display = ["name", "slug", "parent", "position"]
    list_editable = ["position"]
    list_select_related = ["parent"]
    search_fields = ["name", "slug"]

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> list[str]:
        return ["slug"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Category | None = None) -> dict[str, Sequence[str]]:
        return {} if obj else {"slug": ["name"]}

    def save_model(self, request: HttpRequest, obj: Category, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and {"name", "parent"} & set(form.changed_data):  # what its items say has changed
            catalogue.touch(Item.objects.filter(catalogue.stands_in(obj.pk)))


def _image(picture: Picture | None) -> str | SafeString:
    if not picture or not picture.file:
        return "–"
    return format_html('<img class="thumb" src="{}" alt="{}" loading="lazy">', picture.file.url, picture.alt)
