"""Fixtures of the tests that break things."""

from tests.parts.stores import postgres_template, site, sqlite_template, store

__all__ = ["postgres_template", "site", "sqlite_template", "store"]
