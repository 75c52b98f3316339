"""The sprite that every page carries: a symbol that it lacks is an empty place, and no error."""

import re

from reconciler.web.pages.rendering import templates

_NAMED = re.compile(r"""icon\("([a-z-]+)"|#i-([a-z-]+)"|empty\("([a-z-]+)\"""")


def source_of(template: str) -> str:
    loader = templates().loader
    assert loader is not None
    return loader.get_source(templates(), template)[0]


def test_every_icon_that_a_template_names_is_in_the_sprite() -> None:
    found = set(re.findall(r'<symbol id="i-([a-z-]+)"', source_of("sprite.html")))
    named = {
        "".join(names)
        for template in templates().list_templates()
        for names in _NAMED.findall(source_of(template))
    }
    assert len(named) > 20
    assert named - found == set()
