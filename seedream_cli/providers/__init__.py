"""The providers, as one literal mapping."""
