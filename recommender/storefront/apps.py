from django.apps import AppConfig


class StorefrontConfig(AppConfig):
    name = "recommender.storefront"
    label = "storefront"
