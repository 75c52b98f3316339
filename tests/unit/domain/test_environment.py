"""Variables in clear text: what may be one, and what is a secret instead."""

import pytest

from reconciler.domain.environment import parse_environment
from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.domain.references import ProjectName

SHOP = ProjectName("shop")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "debug"),
        ("_x1", ""),
        ("GREETING", 'it\'s "$5"\t100 % ünïcode'),
        ("MONKEY", "banana"),
        ("KEYBOARD", "de"),
        ("TOKEN_LIFETIME", "60"),
        ("DATABASE_URL", "postgres://db.example:5432/shop"),
        ("A" * 128, "a" * 4096),
    ],
)
def test_variable(name: str, value: str) -> None:
    """Names are those of a shell, values any one line."""
    assert parse_environment({name: value}, SHOP) == {name: value}


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "ä", "A\n", "A" * 129])
def test_no_name(name: str) -> None:
    """What no shell takes as a name is refused."""
    with pytest.raises(InvalidInput) as refused:
        parse_environment({name: "x"}, SHOP)
    assert refused.value.field == "environment"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "hunter2") for name in ("PASSWORD", "DB_PASSWORD", "db_passwd", "API_TOKEN")),
        *((name, "hunter2") for name in ("SECRET", "APP_SECRET", "KEY", "API_KEY", "APIKEY")),
        ("DATABASE_URL", "postgres://shop:hunter2@db.example/shop"),
    ],
)
def test_secret(name: str, value: str) -> None:
    """What looks like a secret is sent where secrets are kept, and never shown."""
    with pytest.raises(InvalidInput) as refused:
        parse_environment({name: value}, SHOP)
    assert refused.value.field == f"environment.{name}"
    assert f"reconciler secret set shop variable:{name}" in refused.value.message
    assert "hunter2" not in refused.value.message


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "\x1b[31m", "\ud800", "a" * 4097])
def test_no_value(value: str) -> None:
    """A value that is no line of text, or far too long, is refused without being shown."""
    with pytest.raises(InvalidInput, match=r"^environment\.A: must be"):
        parse_environment({"A": value}, SHOP)


def test_all_that_is_wrong_is_said() -> None:
    """Every wrong variable is named at once; far too many are counted."""
    with pytest.raises(SeveralInvalid) as several:
        parse_environment({"A": "\n", "B": "b", "C_KEY": "c"}, SHOP)
    assert [one.field for one in several.value.problems] == ["environment.A", "environment.C_KEY"]
    with pytest.raises(InvalidInput, match="101 variables"):
        parse_environment({f"A{at}": "" for at in range(101)}, SHOP)
