"""WaveSpeedAI: a host of models."""
