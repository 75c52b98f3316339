"""How one gets into a cluster: where its API server is, how that proves itself, and as whom."""

import base64
import binascii
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.domain.errors import InvalidInput
from reconciler.domain.secret import Secret

#: Source: Kubernetes, "Accessing the Kubernetes API from a Pod".
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LONGEST_FILE = 1 << 20
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
#: What could be read in two ways by who takes a URL apart is in none of these.
_SERVER = re.compile(r"https://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~:-]+)*/?")


@dataclass(frozen=True, slots=True)
class Entrance:
    """Everything that a connection needs."""

    server: str  #: ``https://…``, without a slash at its end
    token: Callable[[], Secret | None]  #: read anew for each request; None: the certificate does
    authority: str = ""  #: PEM of the authorities that it is trusted by; empty: the machine's
    server_name: str = ""  #: that its certificate has, where it is not the server's
    certificate: Secret | None = None  #: PEM of ours, with its private key

    def trust(self) -> ssl.SSLContext:
        """Return what its connections are made with. Raises ``InvalidInput``."""
        context = _context(self.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            _show_certificate(context, self.certificate)
        return context


def in_cluster(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Entrance:
    """Return the way into the cluster that this process runs in.

    Its token is rotated, so that each request reads it.

    Raises:
        InvalidInput: it runs in none, or without a service account.
    """
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        problem = "is for a daemon that runs in a cluster; this one runs in none"
        raise InvalidInput("in_cluster", None, problem)

    def token() -> Secret:
        return checked_token(_read(folder / "token").strip(), "in_cluster")

    token()
    address = f"[{host}]" if ":" in host else host
    server = checked_server(f"https://{address}:{port}", "in_cluster")
    return Entrance(server, token, authority=_read(folder / "ca.crt"))


def checked_server(url: str, field: str) -> str:
    """Return the address of an API server. Raises ``InvalidInput``."""
    try:
        parts = urlsplit(url)
        sound = bool(_SERVER.fullmatch(url) and parts.hostname) and parts.port != 0
    except ValueError:
        raise InvalidInput(field, None, "has a server that is no URL") from None
    if parts.scheme == "http":
        problem = "has a server without TLS: a token would be sent in clear text; give it https"
        raise InvalidInput(field, None, problem)
    if not sound or {".", ".."} & set(parts.path.split("/")):
        problem = "has a server that is no https URL of a host, a port and a path"
        raise InvalidInput(field, None, problem)
    return url.rstrip("/")


def checked_token(text: str, field: str) -> Secret:
    """Return a bearer token. Raises ``InvalidInput``."""
    if not _TOKEN.fullmatch(text):
        raise InvalidInput(field, None, "has a token that is none: it has spaces, or is too long")
    return Secret.of(text)


def decoded(value: str, what: str, field: str) -> str:
    """Return the PEM that ``…-data`` holds. Raises ``InvalidInput``."""
    try:
        text = base64.b64decode("".join(value.split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        raise InvalidInput(field, None, f"has {what} that is no base64 of PEM") from None
    if "-----BEGIN " not in text:
        raise InvalidInput(field, None, f"has {what} that is no base64 of PEM")
    return text


def _context(authority: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=authority or None)
    except ssl.SSLError:
        problem = "has authorities (certificate-authority-data) that are no PEM of certificates"
        raise InvalidInput("kubeconfig", None, problem) from None
    # Python 3.13 asks for key identifiers, which authorities that clusters make themselves lack,
    # e.g. of EKS. The chain, the name and the dates are checked all the same.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _show_certificate(context: ssl.SSLContext, certificate: Secret) -> None:
    """Python reads a key from files alone: this one is in memory, and nobody else can open it."""
    held = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(held), "wb") as stream:
            stream.write(certificate.reveal().encode())
        # A key with a passphrase must not have the daemon wait at a terminal for it.
        context.load_cert_chain(f"/proc/self/fd/{held}", password=lambda: "")
    except (ssl.SSLError, ValueError):
        problem = (
            "has a client certificate and a key that are no pair, or no PEM without passphrase"
        )
        raise InvalidInput("kubeconfig", None, problem) from None
    finally:
        os.close(held)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_LONGEST_FILE).decode("ascii")
    except (OSError, UnicodeError):
        problem = f"needs the pod's service account, and {path} can't be read"
        raise InvalidInput("in_cluster", None, problem) from None
