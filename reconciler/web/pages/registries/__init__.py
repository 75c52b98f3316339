"""Registries: whether each answers, limits left, credentials."""
