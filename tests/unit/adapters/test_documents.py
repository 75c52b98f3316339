"""Files of settings in three forms: the same values, and the same limits."""

import time

import pytest

from reconciler.adapters.documents import LIMIT_BYTES, BoundedDocuments
from reconciler.domain.document import DocumentForm, form_of
from reconciler.domain.errors import InvalidInput

TOML, YAML, JSON = DocumentForm
SAME = {
    TOML: 'a = 1\n[t]\ntext = "8080"\nlist = ["x", "1:2"]\non = true\nhalf = 0.5\n"10" = "k"\n',
    YAML: 'a: 1\nt:\n  text: "8080"\n  list: [x, 1:2]\n  on: true\n  half: 0.5\n  10: k\n',
    JSON: '{"a":1,"t":{"text":"8080","list":["x","1:2"],"on":true,"half":0.5,"10":"k"}}',
}


def read(text: str | bytes, form: DocumentForm) -> object:
    return BoundedDocuments().read(text if isinstance(text, bytes) else text.encode(), form)


@pytest.mark.parametrize("form", DocumentForm)
def test_all_three_say_the_same(form: DocumentForm) -> None:
    """Numbers, switches and texts are what they are in each; keys are text."""
    table = {"text": "8080", "list": ["x", "1:2"], "on": True, "half": 0.5, "10": "k"}
    assert read(SAME[form], form) == {"a": 1, "t": table}


def test_yaml_takes_no_more_than_its_core_schema() -> None:
    """No octal, no dates, no ``yes``: what looks odd stays text."""
    text = "a: [yes, 0755x, 0x10, 22:22, 2026-01-01, ~, .5, 1e3, +7, 007]"
    expected = ["yes", "0755x", "0x10", "22:22", "2026-01-01", None, 0.5, 1000.0, 7, 7]
    assert read(text, YAML) == {"a": expected}


@pytest.mark.parametrize(
    ("form", "content", "problem"),
    [
        pytest.param(TOML, "a = 1\na = 2\nb = 3", "overwrite a value (at line 2", id="toml-twice"),
        pytest.param(TOML, "[a]\n[a]", "declare ('a',) twice (at line 2", id="toml-table-twice"),
        pytest.param(YAML, "a: 1\na: 2", "key 'a' is there twice (line 2", id="yaml-twice"),
        pytest.param(JSON, '{"a":1,"a":2}', "key 'a' is there twice", id="json-twice"),
        pytest.param(TOML, "a = ", "is not TOML: Invalid value", id="toml-cut"),
        pytest.param(YAML, "a: [1", "is not acceptable YAML", id="yaml-cut"),
        pytest.param(JSON, '{"a":', "is not JSON: Expecting value: line 1", id="json-cut"),
        pytest.param(TOML, "a = " + "[" * 90_000, "deeper than 20", id="toml-deep"),
        pytest.param(YAML, "[" * 90_000, "deeper than 40", id="yaml-deep"),
        pytest.param(JSON, "[" * 90_000, "deeper than 20", id="json-deep"),
        pytest.param(JSON, '{"a":' * 25 + "1" + "}" * 25, "deeper than 20", id="json-25-deep"),
        pytest.param(TOML, "a." * 400_000 + "b = 1", "a key of more than 50 parts", id="long-key"),
        pytest.param(TOML, "\na = " + "9" * 1001, "1000 digits (at line 2)", id="long-number"),
        pytest.param(TOML, "\n[[a]]" * 50_001, "more than 50000 tables", id="many-tables"),
        pytest.param(JSON, '{"a":NaN}', "NaN is no number", id="json-nan"),
        pytest.param(JSON, '{"a":1' + "0" * 30 + "}", "of more than 64 bits", id="json-huge"),
        pytest.param(JSON, "[1]", "must hold tables", id="json-list"),
        pytest.param(YAML, "a: &x [*x]", "names nothing that came before", id="yaml-cycle"),
        pytest.param(TOML, b"a = '\xff'", "is not text in UTF-8", id="not-text"),
        pytest.param(TOML, b"#" * (LIMIT_BYTES + 1), "is over 1 MiB", id="too-large"),
    ],
)
@pytest.mark.timeout(10)
def test_what_is_no_such_file_is_refused(
    form: DocumentForm, content: str | bytes, problem: str
) -> None:
    """In a moment, whatever it is; the line is told where there is one."""
    with pytest.raises(InvalidInput) as caught:
        read(content, form)
    assert problem in caught.value.message


def test_an_empty_file_declares_nothing() -> None:
    """In YAML that is a null, in TOML a table."""
    assert (read("", TOML), read("# nothing\n", YAML)) == ({}, {})


def test_the_ending_tells_the_form() -> None:
    """``.yml`` is YAML; anything else asks to be told."""
    assert [form_of(f"/etc/f.{end}") for end in ("toml", "yml", "YAML", "json")] == [
        *(TOML, YAML, YAML, JSON)
    ]
    with pytest.raises(InvalidInput, match="does not end in"):
        form_of("/etc/fleet")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (DocumentForm.YAML, ("!" * 4000 + "\n") * 250),
        (DocumentForm.TOML, "a = x" + "0" * 999 + ("x" + "0" * 999) * 900),
    ],
)
def test_what_is_nearly_too_long_again_and_again_is_looked_through_once(
    form: DocumentForm, text: str
) -> None:
    """A megabyte of it costs what other text does."""
    started = time.process_time()
    with pytest.raises(InvalidInput):
        BoundedDocuments().read(text.encode(), form)
    assert time.process_time() - started < 1
