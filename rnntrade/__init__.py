"""Recurrent networks on daily prices: plain functions over plain frozen data."""
