"""How it is wired: ``build(config)`` gives the whole daemon, not yet started."""

from reconciler.app.application import Application, RefUpdate
from reconciler.config import Config

__all__ = ["Application", "RefUpdate", "build"]


def build(config: Config) -> Application:
    """Wire the daemon that ``config`` describes; see ``wiring.build``."""
    from reconciler.app.wiring import build as wire  # heavy: the store and all adapters

    return wire(config)
