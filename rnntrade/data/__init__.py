"""Prices: where they come from, whether they can be trusted, where they are kept."""
