"""Deployments: their list, one of them, and its log."""
