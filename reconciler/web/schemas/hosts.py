"""Bodies of hosts."""

from datetime import datetime
from typing import Self

from pydantic import ConfigDict

from reconciler.domain.host import Host, HostHealth, fingerprint_of
from reconciler.pipeline.declaring.host_draft import HostDraft
from reconciler.pipeline.declaring.hosts import Trusted
from reconciler.pipeline.host_checks import HostStanding
from reconciler.ports import HostFacts, OfferedKey
from reconciler.web.schemas.body import AT, Answer, Asked, next_page, said
from reconciler.web.schemas.failure import FailureBody

FINGERPRINT = "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDuWzcbC1YGm2uMXc4"
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


class NewHost(Asked):
    """A machine to deploy to: an alias of the SSH configuration, or address and user."""

    name: str = said("1 to 63 of a-z, 0-9, '.' and '-'.", "web1")
    alias: str | None = said(
        "An alias of the daemon user's SSH configuration; or `address`.", "web1", default=None
    )
    address: str | None = said("Host name or IP address; or `alias`.", "10.0.0.5", default=None)
    user: str | None = said("With `address`: whom to be there.", "deploy", default=None)
    port: int | None = said("With `address`: its port; null: 22.", 22, default=None)

    def draft(self) -> HostDraft:
        """Return what was asked for."""
        return HostDraft(**self.model_dump())


class HostPatch(Asked):
    """Fields to change; a field that is left out stays, null clears it."""

    alias: str | None = said("Lets go of the address.", "web1", default=None)
    address: str | None = said("Lets go of the alias.", "10.0.0.6", default=None)
    user: str | None = said("Whom to be there.", "deploy", default=None)
    port: int | None = said("Its port; null: 22.", 2222, default=None)

    def change(self) -> dict[str, str | int | None]:
        """Return the fields that were given."""
        return {field: getattr(self, field) for field in self.model_fields_set}


class HostKeyBody(Answer):
    """What may be shown of our private key for a host."""

    fingerprint: str = said("Tells equal from different, no more.", "5f0c2b1a")
    stored_at: datetime | None = said("When it was stored.", AT)

    @classmethod
    def of(cls, host: Host) -> Self | None:
        """Return the body of the key; None where there is none."""
        if not host.has_key:
            return None
        return cls(fingerprint=host.key_fingerprint, stored_at=host.key_stored_at)


class HostHealthBody(Answer):
    """How reaching a host went last."""

    reachable: bool | None = said("Whether it answered; null before it was asked.", True)
    checked_at: datetime | None = said("When it was asked last.", AT)
    since: datetime | None = said("Since when it stands so.", AT)
    error: FailureBody | None = said("Why it did not answer, or did not let us in.", None)

    @classmethod
    def of(cls, health: HostHealth) -> Self:
        """Return the body of ``health``."""
        return cls(
            reachable=health.reachable,
            checked_at=health.checked_at,
            since=health.since,
            error=FailureBody.of(health.error),
        )


class HostFactsBody(Answer):
    """What a host said of itself at the last good check."""

    user: str = said("Whom we are there.", "deploy")
    is_root: bool = said("Whether that is root.", False)
    has_systemd: bool = said("Whether systemd runs it.", True)
    tools: list[str] = said(
        "Those of git, rsync, flock, curl, docker and compose that it has.", ["git", "rsync"]
    )
    free_bytes: int | None = said(
        "Free on the disk of deployments; null: it does not tell.", 48_000_000_000
    )

    @classmethod
    def of(cls, facts: HostFacts | None) -> Self | None:
        """Return the body of ``facts``."""
        if facts is None:
            return None
        return cls(
            user=facts.user,
            is_root=facts.is_root,
            has_systemd=facts.has_systemd,
            tools=sorted(facts.tools),
            free_bytes=facts.free_bytes,
        )


class HostBody(Answer):
    """A machine that deployments run on."""

    name: str = said("Its name.", "web1")
    alias: str | None = said("The alias of the SSH configuration; null: `address` it is.", None)
    address: str | None = said("Host name or IP address.", "10.0.0.5")
    user: str | None = said("Whom to be there; null: as the alias says.", "deploy")
    port: int | None = said("Its port; null: as the alias says.", 22)
    confirmed: bool = said("Whether a person confirmed its key.", True)
    host_keys: list[str] = said("Fingerprints of the keys that it is known by.", [FINGERPRINT])
    key: HostKeyBody | None = said("Our private key for it; null where none is stored.", None)
    health: HostHealthBody = said("How reaching it went last.")
    facts: HostFactsBody | None = said("What it said of itself.", None)
    created_at: datetime = said("When it was declared.", AT)

    @classmethod
    def of(cls, host: Host, standing: HostStanding) -> Self:
        """Return the body of ``host``."""
        in_full = not host.alias
        return cls(
            name=host.name,
            alias=host.alias or None,
            address=host.address or None,
            user=host.user or None,
            port=host.port if in_full else None,
            confirmed=host.confirmed,
            host_keys=[fingerprint_of(key) for key in host.host_keys],
            key=HostKeyBody.of(host),
            health=HostHealthBody.of(standing.health),
            facts=HostFactsBody.of(standing.facts),
            created_at=host.created_at,
        )


class HostList(Answer):
    """By name."""

    items: list[HostBody] = said("The hosts; the daemon's own machine is none of them.", [])
    next: str | None = next_page()


class NewHostKey(Asked):
    """A private key to store. It is never shown again."""

    model_config = ConfigDict(hide_input_in_errors=True)

    value: str = said(
        "An OpenSSH private key without a passphrase.",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n…",
        repr=False,
    )


class OfferedKeyBody(Answer):
    """A key that a host shows."""

    fingerprint: str = said("As ssh shows it.", FINGERPRINT)
    key: str = said("The public key itself.", _KEY)
    trusted: bool = said("Whether it is one that the host is known by.", False)

    @classmethod
    def of(cls, offered: OfferedKey, host: Host) -> Self:
        """Return the body of ``offered``."""
        return cls(
            fingerprint=offered.fingerprint, key=offered.key, trusted=offered.key in host.host_keys
        )


class OfferedKeyList(Answer):
    """Strongest first."""

    items: list[OfferedKeyBody] = said("The keys that it shows now.", [])


class TrustedKey(Asked):
    """The key that a person confirmed."""

    fingerprint: str = said("Of the key, as ssh shows it.", FINGERPRINT)


class TrustedBody(Answer):
    """By what a host is known from now on."""

    host: HostBody = said("The host.")
    fingerprint: str = said("Of the key that it is known by now.", FINGERPRINT)
    before: list[str] = said("Of those that it was known by; empty: of none.", [])

    @classmethod
    def of(cls, trusted: Trusted, standing: HostStanding) -> Self:
        """Return the body of ``trusted``."""
        return cls(
            host=HostBody.of(trusted.host, standing),
            fingerprint=trusted.fingerprint,
            before=list(trusted.before),
        )
