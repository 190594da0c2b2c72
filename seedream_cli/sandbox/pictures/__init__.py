"""Placeholder pictures, and the host that serves them."""
