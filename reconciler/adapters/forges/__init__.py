"""Forges, one module for each family of APIs."""
