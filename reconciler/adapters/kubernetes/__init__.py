"""Kubernetes clusters, through lightkube over connections of our own."""
