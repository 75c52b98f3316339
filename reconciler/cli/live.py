"""What runs now beside what a receipt says was deployed: host by host, service by service."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.cli import show
from reconciler.cli.client import JsonObject, items_of


@dataclass(frozen=True, slots=True)
class Compared:
    """One service on one host, or a host as a whole."""

    host: str
    service: str  #: empty: the host as a whole
    signed: str  #: digest, release or commit that the receipt names
    found: str  #: what there is instead, or as well
    problem: str = ""  #: how that differs; empty: it is the same


def compare(content: JsonObject, targets: Sequence[JsonObject]) -> list[Compared]:
    """Return what a receipt's ``content`` and the status of the project's ``targets`` have."""
    now = {show.word(one, "host"): one for one in targets}
    return [
        row
        for signed in items_of(content, "targets")
        if show.word(signed, "status") == "verified"
        for row in _on_host(content, signed, now.get(show.word(signed, "host")))
    ]


def _on_host(content: JsonObject, signed: JsonObject, now: JsonObject | None) -> Iterator[Compared]:
    host = show.word(signed, "host")
    if now is None:
        yield Compared(host, "", "deployed there", "", "the project has no such target any more")
        return
    if now.get("now") is None:
        yield Compared(host, "", "", "", f"nobody could look: {show.word(now, 'error', 'message')}")
        return
    yield from _commit(host, show.word(content, "after", "commit"), show.word(now, "now", "commit"))
    services = items_of(signed, "services")
    running = items_of(now, "running")
    for service in services:
        name = show.word(service, "name")
        there = [one for one in running if show.word(one, "service") == name]
        yield _service(host, service, there, show.word(now, "now", "release"))
    known = {show.word(one, "name") for one in services}
    for one in running:
        if show.word(one, "service") not in known:
            name, text = show.word(one, "service"), "is not in the receipt"
            yield Compared(host, name, "", _digests(one), text)


def _commit(host: str, signed: str, found: str) -> Iterator[Compared]:
    """Compare commits where the host tells one; containers of pulled images do not."""
    if signed and found:
        problem = "" if found == signed else "another commit runs"
        yield Compared(host, "", signed[:12], found[:12], problem)


def _service(host: str, service: JsonObject, there: Sequence[JsonObject], release: str) -> Compared:
    digest, named = show.word(service, "digest"), show.word(service, "release")
    found = ", ".join(dict.fromkeys(_shown(one, digest) for one in there))
    if named:
        found = f"{release} {found}".strip()
    signed = f"{named} {_short(digest)}".strip()
    problem = _problem(service, there, digest)
    if not problem and named and release != named:
        problem = "another release runs"
    return Compared(host, show.word(service, "name"), signed, found, problem)


def _problem(service: JsonObject, there: Sequence[JsonObject], digest: str) -> str:
    replicas = service.get("replicas")
    if isinstance(replicas, int) and len(there) < replicas:
        return f"{len(there)} of {replicas} are there"
    ended = {"exited"} if service.get("may_finish") else set[str]()
    for one in there:
        if digest and digest not in show.listed(one, "digests"):
            return "another image or program runs"
        if show.word(one, "state") not in {"running", *ended}:
            return f"is {show.word(one, 'state')}"
        if show.word(one, "health") == "unhealthy":
            return "is unhealthy"
    return ""


def _shown(running: JsonObject, digest: str) -> str:
    """Return what is known of one that runs: the digest that is meant, if it has that."""
    return _short(digest) if digest in show.listed(running, "digests") else _digests(running)


def _digests(running: JsonObject) -> str:
    return ", ".join(map(_short, show.listed(running, "digests"))) or "an unknown image or program"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
