"""The daemon's own matters: how each stands, and which of them want somebody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.ports import ChannelRecord, StoreFigures
from reconciler.scheduling import LoopHealth
from reconciler.store.backup import LastBackup
from reconciler.web.audit_checks import Checked
from reconciler.web.pages.admin.tokens import TokenRow
from reconciler.web.pages.hosts.rows import HostRow
from reconciler.web.pages.loops import name_of
from reconciler.web.pages.registries.rows import RegistryRow


@dataclass(frozen=True, slots=True)
class LoopRow:
    """One loop of the daemon."""

    name: str
    last_progress_at: datetime | None
    late: timedelta
    ok: bool
    error: str  #: of its last pass

    @classmethod
    def of(cls, loop: LoopHealth) -> "LoopRow":
        """Return the row of ``loop``."""
        return cls(name_of(loop), loop.last_progress_at, loop.late, loop.ok, loop.error)


@dataclass(frozen=True, slots=True)
class DaemonFacts:
    """This daemon, and what its store holds."""

    loops: Sequence[LoopRow]  #: those that are late first
    store: StoreFigures
    embedded: bool
    backup: LastBackup | None  #: None: nobody knows of one
    places: int  #: how many deployments it carries out at once

    @property
    def late(self) -> Sequence[LoopRow]:
        """Those that healthz finds stuck."""
        return [one for one in self.loops if not one.ok]

    @property
    def failing(self) -> Sequence[LoopRow]:
        """Those that go on, and whose last pass failed."""
        return [one for one in self.loops if one.ok and one.error]


@dataclass(frozen=True, slots=True)
class Matters:
    """All of them, as far as whoever looks may see them."""

    daemon: DaemonFacts
    hosts: Sequence[HostRow]
    registries: Sequence[RegistryRow]
    channels: Sequence[ChannelRecord]
    tokens: Sequence[TokenRow]
    checked: Checked | None  #: how looking through the audit log went last


@dataclass(frozen=True, slots=True)
class Want:
    """Something that somebody should look at."""

    text: str
    address: str


def wants_of(matters: Matters) -> list[Want]:
    """Return what wants somebody, what matters most first."""
    return list(_wants(matters))


def _wants(matters: Matters) -> Iterator[Want]:
    if matters.checked and not matters.checked.check.intact:
        yield Want("the audit log, which is not whole", "/audit")
    if late := len(matters.daemon.late):
        yield Want(_counted(late, "loop that is late", "loops that are late"), "#daemon")
    counted = (
        (sum(row.badge.tinted for row in matters.hosts), "host", "/hosts"),
        (sum(row.badge.tinted for row in matters.registries), "registry", "/registries"),
        (sum(bool(one.last_error) for one in matters.channels), "channel", "/admin/notifications"),
    )
    for number, what, address in counted:
        if number:
            yield Want(_counted(number, what, _PLURALS[what]), address)
    if ending := sum(one.ends_soon for one in matters.tokens):
        text = _counted(ending, "token that ends soon", "tokens that end soon")
        yield Want(text, "/admin/tokens")


_PLURALS = {"host": "hosts", "registry": "registries", "channel": "channels"}


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
