"""Every table, one file per subject. Ids that come from outside are the primary keys: there is one id per thing."""

from recommender.models.access import ApiKey
from recommender.models.activity import Event, Review
from recommender.models.catalogue import Category, Item, Picture
from recommender.models.content import Encoding, ItemVector
from recommender.models.controls import Control
from recommender.models.experiments import Answer, Experiment, Variant
from recommender.models.learning import Publication, Run
from recommender.models.orders import CartLine, Order, OrderLine
from recommender.models.people import Visitor
from recommender.models.rules import Rule
from recommender.models.trust import Access, Alert, Decision, Screening, Verdict

__all__ = [
    "Access",
    "Alert",
    "Answer",
    "ApiKey",
    "CartLine",
    "Category",
    "Control",
    "Decision",
    "Encoding",
    "Event",
    "Experiment",
    "Item",
    "ItemVector",
    "Order",
    "OrderLine",
    "Picture",
    "Publication",
    "Review",
    "Rule",
    "Run",
    "Screening",
    "Variant",
    "Verdict",
    "Visitor",
]
