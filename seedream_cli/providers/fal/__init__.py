"""fal.ai: a queue of models."""
