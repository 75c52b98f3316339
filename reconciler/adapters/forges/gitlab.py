"""GitLab.

Source: GitLab's REST reference, "Project webhooks API" (``doc/api/project_webhooks.md``). The test
is there since 16.11, is limited to five a minute, and fails for a project without commits.
"""

from urllib.parse import quote

from reconciler.adapters.forges.hooks import Family, Json
from reconciler.domain.forge import ForgeRepository
from reconciler.domain.secret import Secret
from reconciler.ports import ForgeHook


def _headers(token: Secret) -> dict[str, str]:
    return {"PRIVATE-TOKEN": token.reveal()}


def _path_of(repository: ForgeRepository) -> str:
    return f"/projects/{quote(repository.path, safe='')}/hooks"


def _wanted(hook: ForgeHook) -> Json:
    return {
        "url": hook.url,
        "token": hook.secret.reveal(),
        "push_events": True,
        "tag_push_events": True,
        "push_events_branch_filter": "",
        "enable_ssl_verification": True,
    }


GITLAB = Family(
    scope="the scope api, and the role Maintainer in the project",
    headers=_headers,
    path_of=_path_of,
    url_of=lambda shown: shown.get("url"),
    wanted=_wanted,
    test="test/push_events",
    edit="PUT",
)
