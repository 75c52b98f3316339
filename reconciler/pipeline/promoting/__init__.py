"""Promotion: what one environment verified goes to the next."""
