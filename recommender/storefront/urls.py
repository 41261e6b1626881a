"""The shop's pages."""

from django.urls import path

from recommender.storefront.views import account, basket, browse, item, signing_in
from recommender.storefront.views.media import media

app_name = "storefront"
urlpatterns = [
    path("", browse.home, name="home"),
    path("categories/", browse.categories, name="categories"),
    path("category/<slug:slug>/", browse.category, name="category"),
    path("search/", browse.search, name="search"),
    path("beacon/", browse.beacon, name="beacon"),
    path("item/<str:item_id>/", item.page, name="item"),
    path("item/<str:item_id>/opinion/", item.opinion, name="opinion"),
    path("item/<str:item_id>/review/", item.review, name="review"),
    path("item/<str:item_id>/review/delete/", item.delete_review, name="delete-review"),
    path("item/<str:item_id>/cart/", basket.add, name="add-to-cart"),
    path("cart/", basket.cart, name="cart"),
    path("cart/<str:item_id>/quantity/", basket.change, name="change-cart"),
    path("cart/<str:item_id>/remove/", basket.remove, name="remove-from-cart"),
    path("cart/<str:item_id>/put-back/", basket.put_back, name="put-back"),
    path("checkout/", basket.checkout, name="checkout"),
    path("order/<str:order_id>/", basket.order, name="order"),
    path("account/", account.overview, name="account"),
    path("account/orders/", account.orders_page, name="orders"),
    path("account/history/", account.history, name="history"),
    path("account/reviews/", account.reviews_page, name="reviews"),
    path("account/login/", signing_in.LogIn.as_view(), name="login"),
    path("account/logout/", signing_in.log_out, name="logout"),
    path("account/register/", signing_in.register, name="register"),
    path("account/password/", signing_in.ChangePassword.as_view(), name="password"),
    path("media/<path:name>", media, name="media"),
]
