"""Measuring trainers, on real data sets and by size, beside other people's. Reads no table."""
