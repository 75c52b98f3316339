"""Compose's ``$VARIABLE`` syntax."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.interpolation import Unresolved, interpolate

ENVIRONMENT = {"TAG": "1.2", "EMPTY": "", "DOLLAR": "a$TAG", "BRACE": "}"}

#: What compose 2.26 makes of each; the integration suite asks compose itself.
RESOLVED = [
    pytest.param("app:1", "app:1", id="no-variable"),
    pytest.param("app:$TAG", "app:1.2", id="plain"),
    pytest.param("app:${TAG}", "app:1.2", id="braces"),
    pytest.param("$TAG-x", "1.2-x", id="ends-at-dash"),
    pytest.param("a$$TAG", "a$TAG", id="escaped"),
    pytest.param("a$$$TAG", "a$1.2", id="escaped-then-variable"),
    pytest.param("$DOLLAR", "a$TAG", id="values-are-taken-as-they-are"),
    pytest.param("${EMPTY}", "", id="set-but-empty"),
    pytest.param("${NONE:-x}", "x", id="default"),
    pytest.param("${NONE-x}", "x", id="default-if-unset"),
    pytest.param("${EMPTY:-x}", "x", id="default-if-empty"),
    pytest.param("${EMPTY-x}", "", id="empty-is-set"),
    pytest.param("${TAG:-x}", "1.2", id="default-not-needed"),
    pytest.param("${NONE:-}", "", id="empty-default"),
    pytest.param("${NONE:-${TAG}}", "1.2", id="nested-default"),
    pytest.param("${NONE:-${OTHER:-a${TAG}b}}c", "a1.2bc", id="deeply-nested"),
    pytest.param("${NONE:-a$$b}", "a$b", id="escape-in-default"),
    pytest.param("${NONE:-a:b-c?d}", "a:b-c?d", id="operators-in-default"),
    pytest.param("${TAG:+yes}", "yes", id="replacement"),
    pytest.param("${NONE:+yes}", "", id="no-replacement"),
    pytest.param("${EMPTY+yes}", "yes", id="replacement-if-set"),
    pytest.param("${EMPTY:+yes}", "", id="no-replacement-if-empty"),
    pytest.param("${TAG:?needed}", "1.2", id="required-and-there"),
    pytest.param("${EMPTY?needed}", "", id="required-and-empty"),
    pytest.param("${BRACE}x", "}x", id="brace-in-value"),
]


@pytest.mark.parametrize(("text", "expected"), RESOLVED)
def test_what_the_environment_has_is_resolved(text: str, expected: str) -> None:
    """Values, defaults, replacements and escapes."""
    assert interpolate(text, ENVIRONMENT) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        pytest.param("$NONE", "NONE", id="plain"),
        pytest.param("app:${NONE}", "NONE", id="braces"),
        pytest.param("${NONE:?message}", "NONE", id="required"),
        pytest.param("${EMPTY:?message}", "EMPTY", id="required-not-empty"),
        pytest.param("${NONE:-${OTHER}}", "OTHER", id="default-without-value"),
        pytest.param("$", "invalid", id="lone-dollar"),
        pytest.param("a$1", "invalid", id="digit"),
        pytest.param("${}", "invalid", id="no-name"),
        pytest.param("${1A}", "invalid", id="bad-name"),
        pytest.param("${TAG!x}", "invalid", id="bad-operator"),
        pytest.param("${TAG", "not closed", id="not-closed"),
        pytest.param("${NONE:-" * 12 + "x" + "}" * 12, "too deeply", id="too-deep"),
        pytest.param("${NONE:-" * 100_000, "not closed", id="endless"),
    ],
)
def test_what_it_has_not_is_unresolved(text: str, what: str) -> None:
    """An image with such a text is not watched, and the reason says why."""
    with pytest.raises(Unresolved) as caught:
        interpolate(text, ENVIRONMENT)
    assert what in caught.value.what


def test_unset_may_mean_empty() -> None:
    """As compose itself has it, where a caller says so; required ones stay required."""
    assert interpolate("a${NONE}b$NONE", {}, missing="") == "ab"
    assert interpolate("${A:-${B}}", {}, missing="") == ""
    with pytest.raises(Unresolved):
        interpolate("${NONE:?x}", {}, missing="")


@given(st.text())
def test_doubling_dollars_makes_any_text_literal(text: str) -> None:
    """``$$`` is the one escape there is."""
    assert interpolate(text.replace("$", "$$"), {}) == text


@given(
    st.text(alphabet="${}:-+?AB$ x", max_size=40), st.dictionaries(st.sampled_from("AB"), st.text())
)
def test_any_text_is_resolved_or_unresolved(text: str, environment: dict[str, str]) -> None:
    """Nothing else happens, whatever is written."""
    with suppress(Unresolved):
        assert isinstance(interpolate(text, environment), str)


def test_a_short_text_can_not_become_an_endless_one() -> None:
    """Each variable may be named often; what that makes is bounded before it is made."""
    with pytest.raises(Unresolved, match="more than 1048576"):
        interpolate("${A}" * 100_000, {"A": "x" * 65_536})
