"""Images that are built here: from what, by whom, and under which name."""
