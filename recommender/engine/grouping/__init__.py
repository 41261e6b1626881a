"""Grouping: which items, and which shoppers, belong together; what to call a group; and a map of all of them."""
