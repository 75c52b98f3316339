"""What may name a host, and how its key is shown."""

import pytest

from reconciler.domain.errors import InvalidReference
from reconciler.domain.host import (
    LOCAL,
    fingerprint_of,
    parse_address,
    parse_alias,
    parse_host_name,
    parse_user,
)

# The fingerprint is what `ssh-keygen -lf` prints for this key.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
KEY_FINGERPRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def test_this_machine_has_one_name() -> None:
    """Whichever of the two was said."""
    assert parse_host_name("localhost") == parse_host_name("local") == LOCAL


@pytest.mark.parametrize("text", ["", "-F", "a b", "a/b", "..", "Web", "a" * 64, "a\n", "é"])
def test_names_are_safe_as_files_and_arguments(text: str) -> None:
    """They become folders of ours, and what ssh is given."""
    with pytest.raises(InvalidReference):
        parse_host_name(text)


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "web*", "!web", "a b", "a;b", "$x", "a%h"]
)
def test_aliases_are_no_patterns_and_no_options(text: str) -> None:
    """An alias names one host, and nothing reads more into it."""
    with pytest.raises(InvalidReference):
        parse_alias(text)
    with pytest.raises(InvalidReference):
        parse_address(text)
    with pytest.raises(InvalidReference):
        parse_user(text)


def test_fingerprints_are_those_that_ssh_shows() -> None:
    """A person compares them with what the host's console says."""
    assert fingerprint_of(KEY) == KEY_FINGERPRINT


def test_a_key_that_is_none_has_no_fingerprint_of() -> None:
    """Damaged records do not hide the error that they stand in."""
    assert fingerprint_of("ssh-ed25519") == "of no readable key"
