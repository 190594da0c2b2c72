"""What each picture of a manifest was made from: the lock, and its file."""
