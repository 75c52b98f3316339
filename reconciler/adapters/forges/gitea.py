"""Gitea, and Forgejo and Gogs, which have its API.

Sources: Gitea's ``/api/swagger``, repository hooks; of what differs, the sources of each:
``routers/api/v1/utils/hook.go`` (Forgejo's and Gogs's edit leaves the secret as it was),
``internal/route/api/v1/api.go`` of Gogs (lists all on every page, and has no test). A test of a
repository without commits sends nothing.
"""

from dataclasses import replace
from urllib.parse import quote

from reconciler.adapters.forges.hooks import Family, Json, url_in_config
from reconciler.domain.forge import ForgeRepository
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Provider
from reconciler.ports import ForgeHook


def _headers(token: Secret) -> dict[str, str]:
    return {"Authorization": f"token {token.reveal()}"}


def _path_of(repository: ForgeRepository) -> str:
    return f"/repos/{quote(repository.path)}/hooks"


def _wanted(hook: ForgeHook) -> Json:
    return {
        "active": True,
        "events": ["push"],  # of branches and tags alike
        "branch_filter": "*",
        "config": {
            "url": hook.url,
            "content_type": "json",
            "secret": hook.secret.reveal(),
        },
    }


GITEA = Family(
    scope="write:repository, and belongs to an administrator of the repository",
    headers=_headers,
    path_of=_path_of,
    url_of=url_in_config,
    wanted=_wanted,
    test="tests",
    page_size="limit",
    new={"type": Provider.GITEA},
)
FORGEJO = replace(GITEA, edits_secret=False, new={"type": Provider.FORGEJO})
GOGS = replace(
    GITEA,
    scope="an administrator of the repository as its owner",
    edits_secret=False,
    new={"type": Provider.GOGS},
)
