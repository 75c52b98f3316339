"""What a password has to be, and how long who tries has to wait."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.domain.access import Session, parse_person_name
from reconciler.domain.errors import InvalidInput
from reconciler.domain.passwords import normalised, parse_password
from reconciler.domain.sign_in import FOR_ONE, place_of, surroundings_of


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        pytest.param("eleven char", "12 characters or more", id="short"),
        pytest.param("ﬁ" * 5, "12 characters or more", id="short-when-normalised"),
        pytest.param("y" * 6 + "z" * 251, "256 characters or fewer", id="long"),
        pytest.param("\ufdfa" * 20, "256 characters or fewer", id="long-when-normalised"),
        pytest.param("ada.lovelace!", "little more than the name", id="name"),
        pytest.param("Ada.Lovelaceada.lovelace", "little more than the name", id="name-twice"),
        pytest.param("Password1234!", "tried first", id="common"),
        pytest.param("1234567890123456", "tried first", id="digits"),
        pytest.param("abababababab", "tried first", id="two-letters"),
        pytest.param("qwertqwertqwert", "tried first", id="repeated"),
        pytest.param("ten green\nbottles", "signs and spaces", id="two-lines"),
        pytest.param("ten green \ud800 bottles", "signs and spaces", id="half-a-letter"),
    ],
)
def test_a_password_that_is_not_taken(password: str, problem: str) -> None:
    """It says why, and never shows it."""
    with pytest.raises(InvalidInput, match=problem) as refused:
        parse_password(password, "ada.lovelace")
    assert password not in str(refused.value)


@pytest.mark.parametrize("password", ["ten green bottles", "correct horse", "ada likes 7 llamas"])
def test_a_password_that_is_taken(password: str) -> None:
    """Length counts, not which kinds of letters."""
    assert parse_password(password, "ada").reveal() == password


def test_the_same_letters_are_the_same_password() -> None:
    """Whether a keyboard composes them or not."""
    composed, decomposed = "zehn grüne Flaschen", "zehn gru\u0308ne Flaschen"
    assert parse_password(composed, "ada") == normalised(decomposed)


@pytest.mark.parametrize("name", ["ada", "a", "0", "ada.l@example.org", "x" * 64])
def test_names(name: str) -> None:
    """As people are called elsewhere, too."""
    assert parse_person_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "Ada", "ada b", "-ada", "ada\n", "local:0", "token:ci", "ä", "x" * 65, "nobody"]
)
def test_what_is_no_name(name: str) -> None:
    """Neither what records use for others."""
    with pytest.raises(InvalidInput):
        parse_person_name(name)


@pytest.mark.parametrize(
    ("address", "place", "around"),
    [
        pytest.param("192.0.2.77", "192.0.2.0/24", "192.0.2.0/24", id="v4"),
        pytest.param("::ffff:192.0.2.77", "192.0.2.0/24", "192.0.2.0/24", id="v4-in-v6"),
        pytest.param("2001:db8:1:2:3::9", "2001:db8:1:2::/64", "2001:db8:1::/48", id="v6"),
        pytest.param("fe80::1%eth0", "fe80::/64", "fe80::/48", id="link-local"),
        pytest.param("", "elsewhere", "elsewhere", id="none"),
    ],
)
def test_a_place_is_a_network(address: str, place: str, around: str) -> None:
    """Whoever has one address of it has many, and may have many such places."""
    assert (place_of(address), surroundings_of(address)) == (place, around)


def test_the_wait_doubles_up_to_a_bound() -> None:
    """However often it was tried."""
    waits = [FOR_ONE.wait_after(failures).total_seconds() for failures in range(4, 8)]
    assert waits == [0, 2, 4, 8]
    assert FOR_ONE.wait_after(10**6) == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("<b>mine</b>", "<b>mine</b>"),
        ("", ""),
    ],
)
def test_what_a_browser_calls_itself_is_said_in_words(agent: str, said: str) -> None:
    """Most agents claim to be several others, too."""
    at = datetime(2026, 11, 26, tzinfo=UTC)
    assert Session("5f0c", "ada", at, at, at, "192.0.2.7", agent, "password").browser == said
