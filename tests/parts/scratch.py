"""Where tests keep what is gone with them."""

import tempfile
from pathlib import Path

#: Of a unix socket's path, which has 107 bytes, what is left for the folder that its own is in.
_SHORT = 30


def short_folder() -> Path:
    """Return a folder for what holds sockets, whose whole path has to be short."""
    usual = Path(tempfile.gettempdir())
    return usual if len(str(usual)) <= _SHORT else Path("/tmp")
