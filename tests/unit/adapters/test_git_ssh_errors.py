"""What ssh says on stderr, and what it means for us."""

import pytest

from reconciler.adapters.git.ssh_errors import failure
from reconciler.domain.errors import (
    HostKeyMismatch,
    SourceDenied,
    SourceError,
    SourceProtocolError,
    SourceUnreachable,
)
from reconciler.domain.references import GitUrl

URL = GitUrl.parse("ssh://git@host/app.git")
# The fingerprint is what `ssh-keygen -lf` prints for this key.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
KEY_FINGERPRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("git@host: Permission denied (publickey).", SourceDenied),
        ('Load key "/x/key": error in libcrypto', SourceDenied),
        ("ERROR: Repository not found.\nfatal: Could not read from remote", SourceDenied),
        ("fatal: '/x' does not appear to be a git repository", SourceDenied),
        ("ssh: Could not resolve hostname host: Name or service not known", SourceUnreachable),
        ("ssh: connect to host host port 22: Connection refused", SourceUnreachable),
        ("Connection timed out during banner exchange", SourceUnreachable),
        ("kex_exchange_identification: read: Connection reset by peer", SourceUnreachable),
        ("Host key verification failed.", HostKeyMismatch),
        ("no matching host key type found. Their offer: ssh-rsa", HostKeyMismatch),
        ("This account is currently not available.", SourceProtocolError),
    ],
)
def test_last_words(said: str, error: type[SourceError]) -> None:
    """Each says what helps: a key, time, or a person who looks at the host."""
    found = failure(URL, said, KEY)
    assert type(found) is error
    assert "host" in found.message


def test_both_fingerprints_are_shown() -> None:
    """Who has to decide about a changed key sees what was expected and what came."""
    said = f"The fingerprint for the ED25519 key sent by the remote host is\nSHA256:{'A' * 43}.\n"
    found = failure(URL, f"{said}Host key verification failed.", KEY)
    assert found.evidence["expected"] == KEY_FINGERPRINT
    assert found.evidence["observed"] == f"SHA256:{'A' * 43}"
