"""SSH keys for the tests' servers and clients."""

import subprocess
from pathlib import Path


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """Make a key without a passphrase; return ``path``, beside which ``<path>.pub`` is."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "tests", "-f", path],
        check=True,
        timeout=20,
    )
    return path


def public_key(path: Path) -> str:
    """Return the public key of a private one as ``ssh-ed25519 AAAA…``."""
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def fingerprint(path: Path) -> str:
    """Return the fingerprint of a key, as OpenSSH itself says it."""
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True, timeout=20
    )
    return shown.stdout.split()[1]
