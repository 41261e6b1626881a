"""Interactions between users and items as arrays."""
