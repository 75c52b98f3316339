"""Hosts as an operator declares them, and the keys by which they are known."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.domain.errors import Conflict, InvalidInput, ReconcilerError, Refused
from reconciler.domain.failure import Failure
from reconciler.domain.host import Host, HostName, fingerprint_of, parse_fingerprint
from reconciler.domain.secret import Secret
from reconciler.domain.version import ANYTHING, Expected
from reconciler.log import fields
from reconciler.pipeline.declaring.changes import changed_draft
from reconciler.pipeline.declaring.host_draft import HostDraft, draft_of, parse_host
from reconciler.pipeline.declaring.secrets import check_ssh_key
from reconciler.ports import Clock, HostStore, Machines, OfferedKey

_log = logging.getLogger(__name__)

#: Who may only read may ask for keys, and a host that is silent keeps its thread waiting.
_KEYS_AT_ONCE = 4

#: Field of a draft → its new value; None clears it.
HostChange = Mapping[str, str | int | None]

#: Name, alias, address and port.
_Place = tuple[HostName, str, str, int]

_FIXED = {"name": ""}


@dataclass(frozen=True, slots=True)
class Trusted:
    """A host whose key a person confirmed."""

    host: Host
    fingerprint: str  #: of the key that it is known by from now on
    before: tuple[str, ...]  #: fingerprints of those that it was known by; empty: of none


@dataclass(frozen=True, slots=True)
class Offer:
    """What a host showed when it was asked for its keys last."""

    at: datetime
    keys: tuple[OfferedKey, ...] = ()  #: strongest first
    failure: Failure | None = None  #: why it showed none


@dataclass(frozen=True, slots=True)
class Hosts:
    """Declares hosts. Nothing is deployed to one before a person confirmed its key."""

    store: HostStore
    machines: Machines
    clock: Clock
    _places: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_KEYS_AT_ONCE), repr=False
    )
    #: What each place showed last that a host was declared to be at; until the daemon ends.
    _offers: dict[_Place, Offer] = field(default_factory=dict, repr=False)

    def declare(self, draft: HostDraft) -> Host:
        """Add the host that ``draft`` declares.

        Raises:
            InvalidInput: one field is wrong. ``SeveralInvalid``: more are.
            AlreadyExists: the name is taken.
        """
        host = parse_host(draft, self.clock.now())
        self.store.create_host(host)
        return host

    def change(self, name: HostName, change: HostChange, expected: Expected = ANYTHING) -> Host:
        """Change the fields that ``change`` names; naming an alias lets go of the address.

        Where another machine may answer from then on, its key has to be confirmed anew.

        Raises:
            NotFound: no such host.
            ChangedMeanwhile: it is not what was expected, or somebody changed it at this moment.
            InvalidInput: one field is wrong. ``SeveralInvalid``: more are.
        """
        before = self.store.get_host(name)
        expected.require(before)
        wanted = parse_host(_changed_draft(before, change), before.created_at)
        same_place = _place_of(wanted) == _place_of(before)
        after = replace(
            wanted,
            host_keys=before.host_keys if same_place else (),
            key_fingerprint=before.key_fingerprint,
            key_stored_at=before.key_stored_at,
        )
        if after != before:
            self._keep(before, after)
        return after

    def remove(self, name: HostName, expected: Expected = ANYTHING) -> None:
        """Forget the host with our key for it; what runs there goes on.

        Raises:
            NotFound: no such host.
            ChangedMeanwhile: it is not what was expected, or somebody changed it at this moment.
            Conflict: a project has a target on it.
        """
        host = self.store.get_host(name)
        expected.require(host)
        self.store.remove_host(name, host)
        self._forget(host)

    def put_key(self, name: HostName, key: Secret, expected: Expected = ANYTHING) -> Host:
        """Store or replace our private key for the host.

        Raises:
            NotFound: no such host.
            ChangedMeanwhile: it is not what was expected, or somebody changed it at this moment.
            InvalidInput: no OpenSSH private key, or the host is an alias, which has its own.
        """
        host = self.store.get_host(name)
        expected.require(host)
        if host.alias:
            problem = "does not belong to an alias: its IdentityFile says which key is used"
            raise InvalidInput("value", None, problem)
        check_ssh_key(key)
        self.store.put_host_secret(name, key, self.clock.now(), host)
        self.machines.forget(name)
        return self.store.get_host(name)

    def offered_keys(self, name: HostName) -> Sequence[OfferedKey]:
        """Return the keys that the host shows now, strongest first.

        Raises:
            NotFound: no such host.
            TargetUnreachable: it does not answer.
            Conflict: too many are asked for theirs already.
        """
        host = self.store.get_host(name)
        if not self._places.acquire(blocking=False):
            raise Conflict(f"{_KEYS_AT_ONCE} hosts are asked for their keys; try again later")
        try:
            return self._ask(host)
        finally:
            self._places.release()

    def last_offer(self, host: Host) -> Offer | None:
        """Return what it showed last, where it is declared to be; None: it was not asked yet."""
        return self._offers.get(_place_of(host))

    def trust(self, name: HostName, fingerprint: str, *, actor: str) -> Trusted:
        """Know the host from now on by the key of this fingerprint, which it has to show now.

        Raises:
            NotFound: no such host.
            InvalidInput: no fingerprint.
            Refused: the host shows other keys.
            TargetUnreachable: it does not answer.
        """
        wanted = parse_fingerprint(fingerprint)
        host = self.store.get_host(name)
        offered = self._ask(host)
        key = next((one.key for one in offered if one.fingerprint == wanted), None)
        if key is None:
            raise _not_offered(name, wanted, offered)
        before = tuple(fingerprint_of(one) for one in host.host_keys)
        trusted = replace(host, host_keys=(key,))
        if trusted != host:
            self._keep(host, trusted)
            said = f"in place of {', '.join(before)}" if before else "the first one"
            _log.warning(
                "%s is known by %s from now on, %s", name, wanted, said, extra=fields(by=actor)
            )
        return Trusted(trusted, wanted, before)

    def _ask(self, host: Host) -> Sequence[OfferedKey]:
        now, place = self.clock.now(), _place_of(host)
        try:
            offered = tuple(self.machines.offered_keys(host))
        except ReconcilerError as error:
            self._offers[place] = Offer(now, failure=Failure.of(error))
            raise
        self._offers[place] = Offer(now, offered)
        return offered

    def _forget(self, host: Host) -> None:
        self.machines.forget(host.name)
        self._offers.pop(_place_of(host), None)

    def _keep(self, before: Host, after: Host) -> None:
        self.store.update_host(after, before)
        self._forget(before)


def _not_offered(name: HostName, wanted: str, offered: Sequence[OfferedKey]) -> Refused:
    shown = ", ".join(one.fingerprint for one in offered)
    error = Refused(
        "host-key-not-offered",
        f"{name} shows {shown}, not {wanted}",
        expected=wanted,
        observed=shown,
    )
    error.remedy = (
        "compare with what the host itself says: "
        "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its console"
    )
    return error


def _place_of(host: Host) -> _Place:
    return host.name, host.alias, host.address, host.port


def _changed_draft(host: Host, change: HostChange) -> HostDraft:
    draft = draft_of(host)
    if change.get("alias") is not None:
        draft = HostDraft(host.name)
    elif change.get("address") is not None:
        draft = replace(draft, alias=None)
    return changed_draft(draft, change, fixed=_FIXED, what="a host")
