"""Container registries, over the OCI distribution API."""
