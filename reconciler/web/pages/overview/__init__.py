"""The overview: which projects, in which order, and the row of each."""
