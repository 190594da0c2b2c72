"""What a person asks for, held against what a model takes, and the job that buys it. Pure."""
