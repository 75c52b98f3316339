"""One project: why it stands where it does, what would change, what happened."""
