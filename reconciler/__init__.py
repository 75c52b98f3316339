"""Deploys what a git branch and its image tags say, verified, or keeps the last good version."""

__version__ = "0.1.0"
