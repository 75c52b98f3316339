"""What is done at every forge: find our webhook among a repository's, make it, keep one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from reconciler.adapters.forges.conversation import Conversation
from reconciler.domain.errors import ForgeProtocolError
from reconciler.domain.forge import ForgeRepository
from reconciler.domain.secret import Secret
from reconciler.ports import ForgeHook, PutHook

_PER_PAGE = 50
_MOST_PAGES = 20

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Family:
    """How the API of one kind of forge differs from others."""

    scope: str  #: what a token needs, in the forge's words
    headers: Callable[[Secret], Mapping[str, str]]  #: that show a token
    path_of: Callable[[ForgeRepository], str]  #: of a repository's webhooks
    url_of: Callable[[Json], object]  #: where a webhook that the forge shows sends to
    wanted: Callable[[ForgeHook], Json]  #: a webhook as the forge is to have it
    test: str  #: below a webhook's path
    page_size: str = "per_page"  #: name of the parameter
    edit: str = "PATCH"
    edits_secret: bool = True
    new: Json = field(default_factory=dict)  #: what a new one has besides


def put_hook(talk: Conversation, family: Family, hook: ForgeHook) -> PutHook:
    """See ``Forges.put_hook``."""
    path = family.path_of(talk.repository)
    wanted = family.wanted(hook)
    ours = _find_ours(talk, family, hook)
    if ours and family.edits_secret:
        kept, *others = ours
        talk.ask(family.edit, f"{path}/{kept}", wanted)
    else:
        kept, others = _id_of(talk.ask("POST", path, {**family.new, **wanted})), ours
    # Last, so that there is one at every moment.
    for number in others:
        talk.ask("DELETE", f"{path}/{number}")
    return PutHook(kept, created=not ours)


def _find_ours(talk: Conversation, family: Family, hook: ForgeHook) -> list[str]:
    """Return the ids of those with ``hook``'s address, or of the one it was known as before.

    Raises:
        ForgeProtocolError: no list of webhooks, or one without an end.
    """
    every = [(_id_of(one), family.url_of(one)) for one in _every(talk, family)]
    ours = [number for number, url in every if url == hook.url]
    ending = f"/{urlsplit(hook.url).path.rpartition('/')[2]}"
    moved = [
        number
        for number, url in every
        if number == hook.known_as and str(url).endswith(f"/webhook{ending}")
    ]
    return ours or moved


def _every(talk: Conversation, family: Family) -> Iterator[Json]:
    """Yield each webhook once. A forge may give fewer a page than asked for, or all on each."""
    path = f"{family.path_of(talk.repository)}?{family.page_size}={_PER_PAGE}"
    seen: set[str] = set()
    for number in range(1, _MOST_PAGES + 1):
        found = talk.ask("GET", f"{path}&page={number}")
        if not isinstance(found, list):
            raise ForgeProtocolError("the forge answers with no list of webhooks")
        fresh = [one for one in found if _id_of(one) not in seen]
        yield from fresh
        seen |= {_id_of(one) for one in fresh}
        if not fresh:
            return
    raise ForgeProtocolError(f"the repository has over {_MOST_PAGES} pages of webhooks")


def _id_of(hook: object) -> str:
    """Return the forge's id of a webhook. Raises ``ForgeProtocolError``."""
    number = hook.get("id") if isinstance(hook, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ForgeProtocolError("the forge answers with a webhook that has no id")
    return str(number)


def url_in_config(hook: Json) -> object:
    """Return where a webhook sends to, as Gitea's and GitHub's APIs show it."""
    config = hook.get("config")
    return config.get("url") if isinstance(config, dict) else None
