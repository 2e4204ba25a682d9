"""Clients of the pivot contract, and what generates them."""
