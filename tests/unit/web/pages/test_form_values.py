"""Text of forms and the JSON of the API, in both directions."""

import pytest

from reconciler.domain.errors import InvalidInput, SeveralInvalid
from reconciler.web.pages.form_values import Kind, as_model, read, typed, written
from reconciler.web.schemas.projects import ProjectPatch


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.TEXT, "main", "main"),
        (Kind.NUMBER, "8080", 8080),
        (Kind.NUMBER, "0.5", 0.5),
        (Kind.DURATION, "90 s", 90),
        (Kind.DURATION, "15 min", 900),
        (Kind.DURATION, "3 d", 259_200),
        (Kind.DURATION, "0.1 s", 0.1),
        (Kind.DURATION, "0 s", 0),
        (Kind.DURATION, "1234567 s", 1_234_567),
        (Kind.SWITCH, "on", True),
        (Kind.LINES, "apps/shop\n**/*.sql", ["apps/shop", "**/*.sql"]),
        (Kind.PAIRS, "A=1\nB=x=y", {"A": "1", "B": "x=y"}),
        (Kind.CHOICE, "http", "http"),
    ],
)
def test_there_and_back(kind: Kind, text: str, value: object) -> None:
    assert read(kind, text, "field") == value
    assert written(kind, value) == text


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.TEXT, "  ", None),
        (Kind.NUMBER, "", None),
        (Kind.SWITCH, "", False),
        (Kind.LINES, " a \r\n\r\n b\r\n", ["a", "b"]),
        (Kind.DURATION, "2h", 7200),
        (Kind.DURATION, "60", 60),
        (Kind.COMMAND, " bin/migrate 'all of it' ", "bin/migrate 'all of it'"),
        # What is none is left to whoever checks it.
        (Kind.NUMBER, "many", "many"),
        (Kind.NUMBER, "9" * 400, "9" * 400),
        (Kind.DURATION, "a while", "a while"),
    ],
)
def test_what_people_type(kind: Kind, text: str, value: object) -> None:
    assert read(kind, text, "field") == value


def test_a_line_that_is_no_pair() -> None:
    with pytest.raises(InvalidInput, match="environment: 'PLAIN' is no line like NAME=value"):
        read(Kind.PAIRS, "A=1\nPLAIN", "environment")


def test_a_command_is_written_as_a_shell_would_read_it() -> None:
    assert written(Kind.COMMAND, ("sh", "-c", "a b")) == "sh -c 'a b'"


def test_what_a_browser_adds_is_taken_away() -> None:
    assert typed("a  \r\nb\r\n\r\n") == "a\nb"


def test_the_model_refuses_in_the_words_of_the_api() -> None:
    with pytest.raises(SeveralInvalid) as refused:
        as_model(ProjectPatch, {"expose_port": "many", "rules": {"approvals": "two"}})
    assert {one.field: one.message for one in refused.value.problems} == {
        "expose_port": "expose_port: input should be a valid integer",
        "rules.approvals": "rules.approvals: input should be a valid integer",
    }
