"""A project's settings: one form a section, each of which posts on its own."""
