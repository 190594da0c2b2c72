"""What outlives a run: pictures on disk, the ledger, the config file."""
