"""Each provider as its documents describe it."""
