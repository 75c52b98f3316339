"""Hosts and clusters: how each does, adding one, the keys they are known by."""
