"""Who reaches the daemon, and who vouches for them: each setting, and which go together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.config.setting import setting
from reconciler.config.values import HEADER, ISSUER, NETWORKS, PATH, ROLE, SECRET, TEXT, one_of
from reconciler.domain.access import Role
from reconciler.domain.forwarded import Network
from reconciler.domain.secret import Secret


@dataclass(frozen=True, kw_only=True)
class FrontSettings:
    """The part of ``Config`` that says who is believed."""

    tls_certificate: Path | None = field(
        metadata=setting(
            PATH,
            "",
            "PEM file of the certificate that the daemon itself serves https:// with, its chain "
            "included. It is read anew when it changes. Empty: http://.",
        )
    )
    tls_key_file: Path | None = field(
        metadata=setting(
            PATH, "", "PEM file of its private key, without a passphrase and not for everybody."
        )
    )
    trusted_proxies: tuple[Network, ...] = field(
        metadata=setting(
            NETWORKS,
            [],
            "Addresses and networks of the proxies before the daemon. They alone are believed when "
            "they say for whom they ask; on an address that other machines reach, without TLS, "
            "nobody else is answered.",
        )
    )
    proxy_header: str = field(
        metadata=setting(
            one_of(("X-Forwarded-For", "Forwarded")),
            "X-Forwarded-For",
            "In which header they say it: X-Forwarded-For (with -Proto and -Host), or Forwarded. "
            "The other one is ignored: a proxy passes on what it does not set itself.",
        )
    )
    sign_in_header: str = field(
        metadata=setting(
            HEADER,
            "",
            "Header in which trusted_proxies name the person that they let in, e.g. Remote-User. "
            "Empty: none.",
        )
    )
    sign_in_role: Role | None = field(
        metadata=setting(
            ROLE,
            "",
            "Role of people whom such a proxy names for the first time: viewer, operator or admin. "
            "Empty: nobody new is let in.",
        )
    )
    oidc_issuer: str = field(
        metadata=setting(
            ISSUER,
            "",
            "OpenID Connect provider that people may sign in with, exactly as it calls itself. "
            "It needs public_url. Empty: none.",
        )
    )
    oidc_client_id: str = field(
        metadata=setting(TEXT, "", "What the provider knows this daemon as.")
    )
    oidc_client_secret: Secret = field(
        metadata=setting(
            SECRET, "", "What it shows the provider. Empty: a client without a secret."
        )
    )
    oidc_claim: str = field(
        metadata=setting(
            one_of(("preferred_username", "email", "sub")),
            "preferred_username",
            "What the provider says that names the person here: preferred_username, email (only a "
            "verified one), or sub.",
        )
    )
    oidc_role: Role | None = field(
        metadata=setting(
            ROLE,
            "",
            "Role of people who come from the provider for the first time: viewer, operator or "
            "admin. Empty: nobody new is let in.",
        )
    )
    oidc_ca_file: Path | None = field(
        metadata=setting(
            PATH,
            "",
            "PEM file of authorities that may vouch for the provider. Empty: the system's.",
        )
    )


def check_front(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what would leave the daemon open to others than the operator means."""
    tls = [name for name in ("tls_certificate", "tls_key_file") if values.get(name)]
    if len(tls) == 1:
        other = "tls_key_file" if tls == ["tls_certificate"] else "tls_certificate"
        yield f"{tls[0]}: goes with {other}, which is not set"
    yield from _check_listen(values, has_tls=bool(tls))
    if (header := values.get("sign_in_header")) and not values.get("trusted_proxies"):
        yield (
            f"sign_in_header: {header} would be believed from nobody; name the proxy that sets it "
            "in trusted_proxies"
        )
    if values.get("oidc_issuer"):
        for name in ("oidc_client_id", "public_url"):
            if name in values and not values[name]:
                yield f"oidc_issuer: signing in there needs {name} too, which is not set"


def _check_listen(values: Mapping[str, Any], *, has_tls: bool) -> Iterator[str]:
    listen = values.get("listen")
    if listen is None or listen.loopback or has_tls or values.get("trusted_proxies", True):
        return
    yield (
        f"listen: {listen} can be reached from other machines, where passwords and tokens would "
        "travel in clear text; set tls_certificate and tls_key_file, or name the proxy with TLS "
        f"before it in trusted_proxies, or listen on 127.0.0.1:{listen.port}"
    )
