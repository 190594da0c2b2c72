"""One job from submit to file, many at once, and what a dead process left."""
