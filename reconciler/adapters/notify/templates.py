"""Messages by templates: Jinja2's grammar, of which only what can't run for long is taken.

A template may show the facts, choose between them, and shorten them. It can't loop, call, reach
into values or make text out of itself, so that its result is bounded by its own length.
"""

from typing import TYPE_CHECKING

from reconciler.domain.channel import LONGEST_TEMPLATE
from reconciler.domain.errors import InvalidInput
from reconciler.domain.notice import FactsTold
from reconciler.log import shorten

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

LONGEST_TEXT = 8000
_LONGEST_FACT = 1000
#: What a template may make Jinja2, or Python's own compiler, stumble over.
_ITS_FAULT = (TypeError, ValueError, ArithmeticError, RecursionError, SyntaxError, MemoryError)
_FILTERS = frozenset({"default", "lower", "upper", "title", "trim", "truncate"})
_NODES = frozenset(
    [
        "Template",
        "Output",
        "TemplateData",
        "Name",
        "Const",
        "If",
        "Filter",
        "Not",
        "And",
        "Or",
        "Compare",
        "Operand",
        "CondExpr",
        "Keyword",
    ]
)

USUAL = """\
{{ headline }}
{%- if commit %}
Commit: {{ commit }}{% if commit_message %} {{ commit_message }}{% endif %}
{%- endif %}
{%- if images %}
Images: {{ images }}
{%- endif %}
{%- if error %}
Error: {{ error }}
{%- endif %}
{%- if remedy %}
What helps: {{ remedy }}
{%- endif %}
{%- if runs %}
Runs now: {{ runs }}
{%- endif %}
{%- if cause %}
Asked for: {{ cause }}
{%- endif %}
{%- if reminder %}
This goes on since {{ since }}; you hear of it again until it ends.
{%- endif %}
{%- if left_out %}
{{ left_out }} messages about {{ project }} before this one were left out: there were too many.
{%- endif %}
{%- if link %}
{{ link }}
{%- endif %}"""

#: What a message may say, with made-up facts to try a template on.
SAMPLE: FactsTold = {
    "headline": "shop: deployment 12 failed",
    "event": "failure",
    "channel": "ops",
    "project": "shop",
    "subject": "deployment",
    "deployment": 12,
    "status": "failed",
    "commit": "1f2e3d4c",
    "commit_message": "Take cards again",
    "images": "registry.example/shop:main → sha256:0c5b7d1e9f2a",
    "hosts": "web1, web2",
    "cause": "git-poll: main moved 9a8b7c6d → 1f2e3d4c",
    "code": "verification-failed",
    "error": "web is not healthy: it exited with status 1",
    "remedy": "",
    "runs": "deployment 11, commit 9a8b7c6d",
    "since": "2026-11-20 16:26 UTC",
    "at": "2026-11-20 16:27 UTC",
    "reminder": 0,
    "left_out": 0,
    "link": "https://deploy.example/deployments/12",
}


class JinjaLetters:
    """``LetterWriter``."""

    def check(self, template: str) -> None:
        """Try it on made-up facts. Raises ``InvalidInput``."""
        from jinja2 import TemplateError

        if len(template) > LONGEST_TEMPLATE:
            raise InvalidInput("template", template, f"is longer than {LONGEST_TEMPLATE}")
        environment = _environment()
        try:
            for node in _nodes_of(environment.parse(template)):
                _check_node(node)
            text = environment.from_string(template).render(SAMPLE)
        except TemplateError as error:
            raise InvalidInput("template", None, f"can't be used: {error.message}") from None
        except _ITS_FAULT as error:
            raise InvalidInput("template", None, f"can't be used: {error}") from None
        if not text.strip():
            raise InvalidInput("template", None, "gives an empty message")

    def write(self, template: str, facts: FactsTold) -> str:
        """Return the text; by the usual template where ``template`` is empty or fails."""
        known = {**dict.fromkeys(SAMPLE, ""), **{name: _cut(one) for name, one in facts.items()}}
        if template:
            try:
                return _render(template, known)
            except InvalidInput:  # it was tried when it was given; facts may be what it can't take
                pass
        return _render(USUAL, known)


def _render(template: str, facts: FactsTold) -> str:
    from jinja2 import TemplateError

    try:
        text = _environment().from_string(template).render(facts)
    except (TemplateError, *_ITS_FAULT):
        raise InvalidInput("template", None, "can't be used") from None
    return shorten(text.strip(), LONGEST_TEXT)


def _environment() -> "SandboxedEnvironment":
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    # Plain text: nothing is escaped, for each service escapes what it is given.
    made = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    made.globals.clear()
    return made


def _nodes_of(template: "nodes.Template") -> "list[nodes.Node]":
    from jinja2 import nodes

    return [template, *template.find_all(nodes.Node)]


def _check_node(node: "nodes.Node") -> None:
    kind = type(node).__name__
    if kind not in _NODES:
        problem = (
            f"line {node.lineno}: has a {kind.lower()}; only {{{{ names }}}}, {{% if %}} and the "
            f"filters {', '.join(sorted(_FILTERS))} are possible"
        )
        raise InvalidInput("template", None, problem)
    name = getattr(node, "name", "")
    if kind == "Filter" and name not in _FILTERS:
        raise InvalidInput("template", None, f"line {node.lineno}: has no filter {name!r}")
    if kind == "Name" and name not in SAMPLE:
        raise InvalidInput("template", name, f"is none of {', '.join(SAMPLE)}")


def _cut(value: str | int) -> str | int:
    return shorten(value, _LONGEST_FACT) if isinstance(value, str) else value
