"""GitHub and GitHub Enterprise Server.

Source: GitHub's REST reference, "Repository webhooks" and "Authenticating to the REST API".
"""

from urllib.parse import quote

from reconciler.adapters.forges.hooks import Family, Json, url_in_config
from reconciler.domain.forge import ForgeRepository
from reconciler.domain.secret import Secret
from reconciler.ports import ForgeHook


def _headers(token: Secret) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token.reveal()}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def _path_of(repository: ForgeRepository) -> str:
    return f"/repos/{quote(repository.path)}/hooks"


def _wanted(hook: ForgeHook) -> Json:
    return {
        "active": True,
        "events": ["push"],  # of branches and tags alike
        "config": {
            "url": hook.url,
            "content_type": "json",
            "secret": hook.secret.reveal(),
            "insecure_ssl": "0",
        },
    }


GITHUB = Family(
    scope='admin:repo_hook, or, fine-grained, "Webhooks: read and write" of the repository',
    headers=_headers,
    path_of=_path_of,
    url_of=url_in_config,
    wanted=_wanted,
    test="pings",
    new={"name": "web"},
)
