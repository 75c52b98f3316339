"""What OpenSSH's client takes and says."""

from pathlib import Path

import pytest

from reconciler.adapters.openssh import (
    Trouble,
    algorithms,
    find_trouble,
    quoted,
    shown_fingerprint,
)

# The fingerprint is what `ssh-keygen -lf` prints for this key.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
KEY_FINGERPRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def test_the_fingerprint_that_ssh_was_shown_is_found_in_its_words() -> None:
    """It stands in the middle of a warning of ten lines."""
    said = f"The fingerprint for the ED25519 key sent by the remote host is\n{KEY_FINGERPRINT}.\n"
    assert shown_fingerprint(said) == KEY_FINGERPRINT
    assert not shown_fingerprint("Host key verification failed.")


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        ("no matching host key type found. Their offer: ssh-rsa", Trouble.OTHER_KEY),
        ("ada@host: Permission denied (publickey).", Trouble.DENIED),
        ("Received disconnect: Too many authentication failures", Trouble.DENIED),
        ("Connection timed out during banner exchange", Trouble.UNREACHABLE),
        ("This account is currently not available.", None),
    ],
)
def test_last_words(said: str, trouble: Trouble | None) -> None:
    """Each is of one kind; what is not about the connection is of none."""
    assert find_trouble(said) is trouble


def test_rsa_keys_sign_with_sha_2() -> None:
    """The name of the key is not the name of the algorithm; kinds are named once."""
    keys = [KEY, "ssh-rsa AAAA", "ssh-ed25519 BBBB"]
    assert algorithms(keys) == "ssh-ed25519,rsa-sha2-512,rsa-sha2-256"


def test_paths_mean_themselves_in_a_configuration() -> None:
    """Spaces would end them, and percent signs begin a token."""
    assert quoted(Path("/a b/100%")) == '"/a b/100%%"'
