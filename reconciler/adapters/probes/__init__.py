"""Asking whether a target is well: from here, or on its host."""
