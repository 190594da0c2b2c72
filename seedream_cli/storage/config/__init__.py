"""The config file, profiles and keys."""
