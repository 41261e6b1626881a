"""The cart and the orders made from it. No payment is taken; a real shop plugs its own in after `orders.place`."""

from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from recommender.models.catalogue import Item
from recommender.models.people import Visitor


class CartLine(models.Model):
    """One item waiting in a visitor's cart."""

    MAX_QUANTITY = 99  # pieces of one item

    visitor = models.ForeignKey(Visitor, on_delete=models.CASCADE, related_name="cart_lines")
    item = models.ForeignKey(Item, on_delete=models.CASCADE, related_name="+")
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    added_at = models.DateTimeField(default=timezone.now)
    # Where the shopper found it, so that the purchase is credited to the recommendation that led to it.
    source = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["added_at"]
        constraints = [models.UniqueConstraint(fields=["visitor", "item"], name="one_cart_line_per_item")]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.item_id}"

    @property
    def limit(self) -> int:
        """The most pieces that can be ordered now."""
        return self.MAX_QUANTITY if self.item.stock is None else min(self.item.stock, self.MAX_QUANTITY)

    @property
    def total(self) -> Decimal:
        return (self.item.price or Decimal(0)) * self.quantity


class Order(models.Model):
    """What a visitor bought at once; imported invoices keep their own number."""

    id = models.CharField(primary_key=True, max_length=64)
    visitor = models.ForeignKey(Visitor, on_delete=models.CASCADE, related_name="orders")
    placed_at = models.DateTimeField(default=timezone.now)
    name = models.CharField(max_length=120, blank=True)
    email = models.EmailField(blank=True)
    address = models.TextField(blank=True)
    total = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0))
    client = models.CharField(max_length=64, blank=True, help_text="Network address it was placed from.")
    payment = models.CharField(max_length=64, blank=True, help_text="What the payment provider calls the card.")
    held = models.CharField(max_length=16, blank=True, default="", help_text="The rule that it broke; not sent yet.")

    class Meta:
        ordering = ["-placed_at"]
        indexes = [models.Index(fields=["visitor", "-placed_at"], name="order_visitor_latest")]

    def __str__(self) -> str:
        return self.id


class OrderLine(models.Model):
    """One item of an order, with the price it had then."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="+")
    quantity = models.PositiveIntegerField()
    unit_price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["order", "item", "unit_price"], name="one_order_line_per_item_price")
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.item_id}"

    @property
    def total(self) -> Decimal:
        return self.unit_price * self.quantity
