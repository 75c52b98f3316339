"""What a host needs before anything can be deployed to it, and what helps where it is missing."""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.domain.target import NEEDED_TOOLS, TargetStrategy
from reconciler.web.pages.hosts.rows import LOW_BYTES, HostRow

_PACKAGES = {
    "docker": "docker-ce or docker.io",
    "compose": "docker-compose-plugin, version 2.20 or newer",
    "flock": "util-linux",
}
_ON_SYSTEMD = {TargetStrategy.SYSTEMD, TargetStrategy.SYSTEMD_REMOTE}
#: What is looked for where nothing is deployed yet.
_USUAL = (TargetStrategy.COMPOSE, TargetStrategy.SYSTEMD)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold."""

    ok: bool | None  #: None: nobody knows, or it is not needed yet
    text: str
    remedy: str = ""


def checks_of(row: HostRow) -> list[Check]:
    """Return all, in the order in which they come to matter."""
    return [*_of_the_way(row), *_of_what_it_has(row)]


def _of_the_way(row: HostRow) -> Iterator[Check]:
    if not row.is_local:
        yield (
            Check(False, "its key was changed", "compare both keys before anything else")
            if row.key_changed
            else Check(row.set_up, "its key is confirmed", "compare its fingerprint, and accept it")
        )
    error = row.error
    if error is not None and not row.key_changed:
        yield Check(False, error.message, error.remedy)
    elif row.facts is not None:
        is_other = row.facts.is_root and row.facts.user != "root"
        root = ", who is root" if is_other else ""
        yield Check(True, f"it lets us in as {row.facts.user}{root}")
    else:
        yield Check(None, "whether it lets us in was not asked yet")


def _of_what_it_has(row: HostRow) -> Iterator[Check]:
    if row.facts is None:
        return
    in_use = {one.strategy for one in row.targets}
    for tool in sorted(frozenset().union(*(NEEDED_TOOLS[one] for one in in_use or _USUAL))):
        yield _tool(tool, has=tool in row.facts.tools, needed=bool(in_use))
    if in_use & _ON_SYSTEMD or not in_use:
        yield _systemd(has=row.facts.has_systemd, needed=bool(in_use))
    if row.free is not None:
        remedy = f"less than {LOW_BYTES // 10**9} GB: remove what nobody needs, or add a disk"
        yield Check(not row.is_low, "its disk has room", remedy)


def _systemd(*, has: bool, needed: bool) -> Check:
    if has:
        return Check(True, "systemd runs it")
    return Check(False if needed else None, "systemd does not run it", "it is what runs units")


def _tool(tool: str, *, has: bool, needed: bool) -> Check:
    package = _PACKAGES.get(tool, tool)
    if has:
        return Check(True, f"{tool} is there")
    return Check(False if needed else None, f"{tool} is missing", f"install {package} there")
