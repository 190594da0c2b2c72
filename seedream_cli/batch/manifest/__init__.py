"""The text of a manifest becomes rows, or a list of mistakes with their lines. Pure."""
