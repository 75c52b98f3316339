"""Machines: this one, and those reached over SSH."""
