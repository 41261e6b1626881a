"""The shop: pages for shoppers. A nested Django app without tables."""
