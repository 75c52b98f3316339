"""The daemon's own certificate: looked over before it is used, and taken anew when it changes."""

import logging
import os
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from reconciler.domain.errors import ConfigError

log = logging.getLogger("reconciler.tls")

#: Whoever renews certificates does so well before this is left.
SOON = timedelta(days=14)
_LIMIT_BYTES = 1 << 20
_State = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its chain, and its private key, both as PEM."""

    certificate: Path
    key: Path

    def look_over(self, now: datetime) -> str:
        """Return what is to be said about them; mostly nothing.

        Raises:
            ConfigError: nothing can be served with them.
        """
        self.context(now)
        left = _expiry(self.certificate) - now
        if left > SOON:
            return ""
        return f"tls_certificate: {self.certificate} expires in {left.days} days; renew it"

    def context(self, now: datetime) -> ssl.SSLContext:
        """Return what a server serves with.

        Raises:
            ConfigError: naming the file, and what is wrong with it.
        """
        _check_readable("tls_certificate", self.certificate)
        _check_readable("tls_key_file", self.key)
        _check_private(self.key)
        self._check_dates(now)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # A key with a passphrase must not have the daemon wait at a terminal for it.
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (ssl.SSLError, OSError) as error:
            if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
                raise _wrong("tls_key_file", self.key, f"is no key of {self.certificate}") from None
            problem = "is no PEM file of a private key without a passphrase"
            raise _wrong("tls_key_file", self.key, problem) from None
        return context

    def _check_dates(self, now: datetime) -> None:
        try:
            expiry, start = _expiry(self.certificate), _start(self.certificate)
        except ValueError:
            problem = "is no PEM file of a certificate"
            raise _wrong("tls_certificate", self.certificate, problem) from None
        if expiry <= now:
            problem = f"expired on {expiry:%Y-%m-%d}; renew it"
            raise _wrong("tls_certificate", self.certificate, problem)
        if start > now:
            problem = f"is valid from {start:%Y-%m-%d %H:%M} UTC only; look at the clock"
            raise _wrong("tls_certificate", self.certificate, problem)

    def state(self) -> _State:
        """Return what is different after either has changed; empty while one is not there."""
        try:
            found = [os.stat(path) for path in (self.certificate, self.key)]  # noqa: PTH116
        except OSError:
            return ()
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)


class RenewedTls:
    """A server's context that each new connection gets with the certificate of that moment.

    What is renewed badly is not taken: the one before stays. Open connections go on as they are.
    """

    def __init__(self, files: TlsFiles, now: Callable[[], datetime]) -> None:
        """Read the files. Raises ``ConfigError``."""
        self._files = files
        self._now = now
        self._seen = files.state()
        self._current = self.context = files.context(now())
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _: ssl.SSLContext) -> None:
        # Asked before they are read: what changes meanwhile is seen at the next connection.
        if (state := self._files.state()) != self._seen:
            self._seen = state
            self._take()
        connection.context = self._current

    def _take(self) -> None:
        try:
            self._current = self._files.context(self._now())
        except ConfigError as error:
            log.warning("the certificate is not taken anew, the one before stays: %s", error)
        else:
            log.info("took the certificate anew from %s", self._files.certificate)


def _check_readable(key: str, path: Path) -> None:
    try:
        if not path.is_file():
            raise _wrong(key, path, "is no file")
        with path.open("rb") as stream:
            if len(stream.read(_LIMIT_BYTES + 1)) > _LIMIT_BYTES:
                raise _wrong(key, path, "is over 1 MiB")
    except OSError as error:
        raise _wrong(key, path, f"can't be read ({error.strerror})") from None


def _check_private(path: Path) -> None:
    """A group may read it, e.g. ``ssl-cert``; nobody else, and nobody may change it."""
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IRWXO):
        raise _wrong("tls_key_file", path, f"can be read by others; chmod 600 {path}")


def _expiry(path: Path) -> datetime:
    from cryptography import x509  # only who serves TLS needs it

    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def _start(path: Path) -> datetime:
    from cryptography import x509

    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_before_utc


def _wrong(key: str, path: Path, problem: str) -> ConfigError:
    return ConfigError((f"{key}: {path} {problem}",))
