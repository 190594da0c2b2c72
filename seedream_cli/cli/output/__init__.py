"""What people, scripts and CI are shown."""
