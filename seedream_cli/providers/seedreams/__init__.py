"""seedreams.app."""
