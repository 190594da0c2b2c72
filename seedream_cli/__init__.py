"""seedream: from a prompt to image files, through any provider of Seedream."""

__version__ = "0.1.0"
