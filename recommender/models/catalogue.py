"""What the shop sells."""

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from recommender.models.ids import MAX_LENGTH, validate_external_id


class Category(models.Model):
    """A part of the shop. One without a parent is a department, which may group several."""

    slug = models.SlugField(primary_key=True, max_length=64)
    name = models.CharField(max_length=80)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position", "name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Item(models.Model):
    """Anything that can be shown, sold and recommended. Deactivate it rather than delete it: events point at it."""

    id = models.CharField(primary_key=True, max_length=MAX_LENGTH, validators=[validate_external_id])
    title = models.CharField(max_length=300)
    creator = models.CharField(max_length=200, blank=True, help_text="Author, artist or maker.")
    description = models.TextField(blank=True)
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.PROTECT, related_name="items")
    price = models.DecimalField(
        max_digits=10, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    stock = models.PositiveIntegerField(null=True, blank=True, help_text="Empty: not counted, always available.")
    sound = models.FileField(upload_to="sounds/", blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    active = models.BooleanField(default=True)
    added_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["title"]
        indexes = [
            models.Index(fields=["category", "active", "title"], name="item_category_active_title"),
            models.Index(fields=["active", "-added_at"], name="item_active_added"),
            models.Index(fields=["updated_at"], name="item_updated"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def first_picture(self) -> "Picture | None":
        """The one on its card; without a query where `pictures` are prefetched."""
        known = getattr(self, "_prefetched_objects_cache", {}).get("pictures")  # where a manager would look, slowly
        return next(iter(self.pictures.all() if known is None else known), None)

    @property
    def in_stock(self) -> bool:
        return self.stock is None or self.stock > 0

    @property
    def can_be_bought(self) -> bool:
        return self.active and self.in_stock and self.price is not None


class Picture(models.Model):
    """One picture of an item; the first is the one on its card."""

    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="pictures")
    file = models.ImageField(upload_to="pictures/")
    alt = models.CharField(max_length=200, blank=True)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.alt or str(self.file)
