"""Fixtures of the integration tests."""

from tests.parts.stores import sqlite_template

__all__ = ["sqlite_template"]
