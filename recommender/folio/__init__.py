"""Folio, the demo shop: books, prints and records made here from a fixed seed, and the shoppers who visit it.

Nothing in this package knows Django. `catalogue` lists what is sold, `prints`, `covers` and `records` make the
pictures and the music, `shoppers` simulates a year of visits; `services/demo.py` puts all of it into the shop.
"""
