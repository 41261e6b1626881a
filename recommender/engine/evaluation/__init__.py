"""How good a model is, whether it may be published, and which settings suit the data."""
