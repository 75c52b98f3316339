"""Templates of messages: plain, tried when they are given, and bounded by their own length."""

import pytest

from reconciler.adapters.notify.templates import LONGEST_TEXT, SAMPLE, USUAL, JinjaLetters
from reconciler.domain.channel import LONGEST_TEMPLATE
from reconciler.domain.errors import InvalidInput

WRITER = JinjaLetters()


def test_the_usual_message_reads_well() -> None:
    WRITER.check(USUAL)
    assert WRITER.write("", SAMPLE).splitlines() == [
        "shop: deployment 12 failed",
        "Commit: 1f2e3d4c Take cards again",
        "Images: registry.example/shop:main → sha256:0c5b7d1e9f2a",
        "Error: web is not healthy: it exited with status 1",
        "Runs now: deployment 11, commit 9a8b7c6d",
        "Asked for: git-poll: main moved 9a8b7c6d → 1f2e3d4c",
        "https://deploy.example/deployments/12",
    ]
    assert WRITER.write("", {"headline": "host web1 needs a person"}) == "host web1 needs a person"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ project|upper }}: {{ error|truncate(10) }}", "SHOP: web is..."),
        ("{% if remedy %}x{% elif deployment == 12 %}twelve{% endif %}", "twelve"),
        ("{{ remedy|default('none', boolean=true) }} & <b>", "none & <b>"),
        ("{{ 'a' if reminder else 'b' }}", "b"),
    ],
)
def test_what_templates_may_do(template: str, text: str) -> None:
    WRITER.check(template)
    assert WRITER.write(template, SAMPLE) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ project.__class__ }}",
        "{{ project['__class__'] }}",
        "{{ project|attr('__class__') }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ self }}",
        "{% for one in range(99999999) %}x{% endfor %}",
        "{% macro x() %}{{ x() }}{% endmacro %}{{ x() }}",
        "{% set x = project ~ project %}{{ x }}",
        "{{ project * 999999999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ project|replace('s', project) }}",
        "{{ '%999999999d'|format(1) }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ unknown }}",
        "{{ project",
        "{% if project %}",
        "{{ project|truncate('x') }}",
        "",
        "   ",
        "x" * (LONGEST_TEMPLATE + 1),
        "{{ " + "(" * 1900 + "1" + ")" * 1900 + " }}",
        "{% if project %}" * 180 + "{% endif %}" * 100,
        "{% if project %}" * 140 + "x" + "{% endif %}" * 140,
    ],
)
def test_what_templates_may_not_do(template: str) -> None:
    """Refused when they are given, with words."""
    with pytest.raises(InvalidInput, match="template"):
        WRITER.check(template)


def test_a_message_is_never_endless_and_never_missing() -> None:
    """Whatever the facts are, and even if a template turns out not to take them."""
    facts = {**SAMPLE, "error": "x" * 100_000}
    assert len(WRITER.write("{{ error }}" * 300, facts)) < LONGEST_TEXT + 100
    assert WRITER.write("{{ error.x.y }}", SAMPLE) == WRITER.write("", SAMPLE)
