"""Volcengine Ark and BytePlus."""
