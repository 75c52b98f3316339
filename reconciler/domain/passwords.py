"""What a password has to be: long, and not what everybody tries first."""

import unicodedata

from reconciler.domain.errors import InvalidInput
from reconciler.domain.secret import Secret

SHORTEST, LONGEST = 12, 256
_LEAST_BESIDE_NAME = 8
_LEAST_DIFFERENT = 5
#: Common ones that are long enough; letters alone are compared, so `Password1234!` is one, too.
_COMMON = frozenset(
    {
        "password", "passwordpassword", "passw0rd", "changeme", "changemenow", "changemeplease",
        "letmein", "letmeinplease", "welcome", "iloveyou", "administrator", "admin", "root",
        "qwerty", "qwertyuiop", "qwertzuiop", "azertyuiop", "qwertyuiopasdfghjkl", "asdfghjkl",
        "correcthorsebatterystaple", "reconciler", "reconcileradmin", "trustno", "abcdefghijkl",
        "abcdefghijklm", "abcdefghijklmnopqrstuvwxyz", "default", "defaultpassword", "secret",
        "supersecret", "topsecret", "mypassword", "thisisapassword", "thisismypassword",
    }
)  # fmt: skip
_RUNS = ("01234567890123456789", "98765432109876543210", "12345678901234567890")


def normalised(text: str) -> Secret:
    """Return ``text`` as it is compared: the same letters, however a keyboard composes them."""
    return Secret.of(unicodedata.normalize("NFKC", text[: LONGEST + 1]))


def parse_password(text: str, name: str, field: str = "password") -> Secret:
    """Return a new password of the person ``name``.

    Raises:
        InvalidInput: it is too short, too long, or easily guessed; it is not shown.
    """
    if not text.isprintable():
        raise InvalidInput(field, None, "must be letters, digits, signs and spaces")
    secret = normalised(text)
    plain = secret.reveal()
    if len(plain) < SHORTEST:
        raise InvalidInput(field, None, f"must have {SHORTEST} characters or more")
    if len(plain) > LONGEST:
        raise InvalidInput(field, None, f"must have {LONGEST} characters or fewer")
    folded = plain.casefold()
    if len(folded.replace(name, "")) < _LEAST_BESIDE_NAME:
        raise InvalidInput(field, None, "is little more than the name; anybody would try that")
    if _is_common(folded):
        raise InvalidInput(field, None, "is one of those that are tried first; take another")
    return secret


def _is_common(folded: str) -> bool:
    letters = "".join(letter for letter in folded if letter.isalpha())
    if letters in _COMMON or len(set(folded)) < _LEAST_DIFFERENT:
        return True
    return any(folded[:SHORTEST] in run for run in _RUNS) or folded in folded[1:] + folded[:-1]
