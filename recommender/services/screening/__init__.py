"""Screening: what detectors find in the shop, what it means for what is learned, and what staff decide about it."""
