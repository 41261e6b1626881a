"""The shop's pages."""

from django.urls import path

from recommender.storefront.views import (
    account,
    assistant,
    browse,
    cart,
    controls,
    item,
    search,
    senses,
    signing_in,
    taste,
)
from recommender.storefront.views.media import media

app_name = "storefront"
urlpatterns = [
    path("", browse.home, name="home"),
    path("categories/", browse.categories, name="categories"),
    path("category/<slug:slug>/", browse.category, name="category"),
    path("search/", search.results, name="search"),
    path("search/suggest", search.suggest, name="suggest"),
    path("search/photo/", senses.photo, name="search-photo"),
    path("search/sound/", senses.sound, name="search-sound"),
    path("assistant/", assistant.page, name="assistant"),
    path("assistant/answer/", assistant.answer, name="assistant-answer"),
    path("taste/", taste.page, name="taste"),
    path("taste/again/", taste.start_again, name="taste-again"),
    path("beacon/", browse.beacon, name="beacon"),
    path("item/<str:item_id>/", item.page, name="item"),
    path("item/<str:item_id>/opinion/", item.opinion, name="opinion"),
    path("item/<str:item_id>/review/", item.review, name="review"),
    path("item/<str:item_id>/review/delete/", item.delete_review, name="delete-review"),
    path("item/<str:item_id>/cart/", cart.add, name="add-to-cart"),
    path("why/<str:item_id>/", controls.why, name="why"),
    path("cart/", cart.page, name="cart"),
    path("cart/<str:item_id>/quantity/", cart.change, name="change-cart"),
    path("cart/<str:item_id>/remove/", cart.remove, name="remove-from-cart"),
    path("cart/<str:item_id>/put-back/", cart.put_back, name="put-back"),
    path("checkout/", cart.checkout, name="checkout"),
    path("order/<str:order_id>/", cart.order, name="order"),
    path("account/", account.overview, name="account"),
    path("account/orders/", account.orders_page, name="orders"),
    path("account/history/", account.history, name="history"),
    path("account/recommendations/", controls.page, name="recommendations"),
    path("account/reviews/", account.reviews_page, name="reviews"),
    path("account/login/", signing_in.LogIn.as_view(), name="login"),
    path("account/logout/", signing_in.log_out, name="logout"),
    path("account/register/", signing_in.register, name="register"),
    path("account/password/", signing_in.ChangePassword.as_view(), name="password"),
    path("media/<path:name>", media, name="media"),
]
