"""Figures in the words of Prometheus. The only ``prometheus_client``."""

from reconciler.adapters.metrics.meters import Meters
from reconciler.adapters.metrics.scrape import Reading, Scrape

__all__ = ["Meters", "Reading", "Scrape"]
