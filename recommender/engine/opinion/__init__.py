"""Opinion: whether words praise or fault, and what of a thing they speak."""
