"""Figures with one definition each, and the verdict they lead to."""
