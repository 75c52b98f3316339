"""The tables of the embedded database, made once: all the rest of a start takes less time."""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.adapters.system_clock import SystemClock
from reconciler.store.database import connect, parse_location
from reconciler.store.schema import migrate

_FILE = "state.db"


def lay_out(data: Path) -> None:
    """Leave them in a data folder as a first start does that is killed once it has made them."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(data / _FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as made:
        made.write(_tables())


@cache
def _tables() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, _FILE)
        database = connect(parse_location(path), SystemClock())
        with database.writing() as connection:
            migrate(connection)
        database.close()
        return path.read_bytes()
