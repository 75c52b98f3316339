"""What concerns the daemon as a whole: its settings, people, tokens, channels, backup and log."""
