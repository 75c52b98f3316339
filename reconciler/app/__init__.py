"""How it is wired: ``build(config)`` gives the whole daemon, not yet started."""

from reconciler.app.application import Application
from reconciler.app.wiring import build

__all__ = ["Application", "build"]
