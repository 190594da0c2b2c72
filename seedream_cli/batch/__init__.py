"""A manifest held against lock, disk and ledger: resolved, planned, applied."""
