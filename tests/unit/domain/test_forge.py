"""Where a forge's API is, and whether the forge can reach us: from what was declared alone."""

import pytest

from reconciler.domain.errors import InvalidInput
from reconciler.domain.forge import (
    ForgeRepository,
    WebAddress,
    check_own_address,
    find_repository,
    page_of_commit,
    parse_forge_token,
    reasons_for_silence,
    remarks_on_address,
)
from reconciler.domain.references import CommitSha, GitUrl
from reconciler.domain.webhook import Provider

GITHUB = ForgeRepository(Provider.GITHUB, "https://api.github.com", "team/app")
OWN = ForgeRepository(Provider.FORGEJO, "https://git.example/api/v1", "team/app")


def found(source: str, provider: str | None = None, forge_url: str | None = None) -> str:
    return str(find_repository(GitUrl.parse(source), provider, forge_url))


@pytest.mark.parametrize(
    ("source", "provider", "forge_url", "expected"),
    [
        ("https://github.com/team/app.git", None, None, "team/app at https://api.github.com"),
        ("git@github.com:team/app.git", None, None, "team/app at https://api.github.com"),
        (
            "https://gitlab.com/team/sub/app",
            None,
            None,
            "team/sub/app at https://gitlab.com/api/v4",
        ),
        (
            "ssh://git@ssh.github.com:443/team/app.git",
            "github",
            "https://api.github.com",
            "team/app at https://api.github.com",
        ),
        (
            "https://ghes.example/team/app.git",
            "github",
            None,
            "team/app at https://ghes.example/api/v3",
        ),
        (
            "https://git.example:3000/team/app.git",
            "gitea",
            None,
            "team/app at https://git.example:3000/api/v1",
        ),
        (
            "ssh://git@git.example:2222/team/app.git",
            "forgejo",
            None,
            "team/app at https://git.example/api/v1",
        ),
        (
            "http://127.0.0.1:3000/team/app.git",
            "gogs",
            None,
            "team/app at http://127.0.0.1:3000/api/v1",
        ),
        (
            "https://git.example/team/app.git",
            "gitea",
            "http://10.0.0.5:3000/",
            "team/app at http://10.0.0.5:3000/api/v1",
        ),
        (
            "https://host.example/forge/team/app.git",
            "gitea",
            "https://host.example/forge",
            "team/app at https://host.example/forge/api/v1",
        ),
    ],
)
def test_the_api_is_found_from_the_source(
    source: str, provider: str | None, forge_url: str | None, expected: str
) -> None:
    """Over https, unless the source is on this machine or somebody says otherwise."""
    assert found(source, provider, forge_url) == expected


@pytest.mark.parametrize(
    ("source", "provider", "forge_url", "field", "words"),
    [
        ("https://git.example/team/app.git", None, None, "provider", "gitea, forgejo, gogs"),
        ("https://git.example/team/app.git", "svn", None, "provider", "gitlab"),
        (
            "https://git.example/team/app.git",
            "bitbucket-cloud",
            None,
            "provider",
            "is no forge whose API we know",
        ),
        ("https://github.com/team/app.git", "gitea", None, "provider", "is not what github.com is"),
        ("http://git.example/team/app.git", "gitea", None, "forge_url", "not encrypted"),
        ("https://git.example/forge/team/app", "gitea", None, "forge_url", "OWNER/REPOSITORY"),
        ("https://git.example/app.git", "gitea", None, "forge_url", "OWNER/REPOSITORY"),
        (
            "https://git.example/team/app.git",
            "gitea",
            "https://me:secret@git.example",
            "forge_url",
            "no user name",
        ),
        ("https://git.example/team/app.git", "gitea", "ftp://git.example", "forge_url", "URL"),
        ("https://git.example/team/app.git", "gitea", "https://a b", "forge_url", "URL"),
        ("https://git.example/team/app.git", "gitea", "https://x/../y", "forge_url", "URL"),
        ("https://git.example/team/app.git", "gitea", "https://x:99999", "forge_url", "URL"),
    ],
)
def test_what_can_not_be_told_is_asked_for(
    source: str, provider: str | None, forge_url: str | None, field: str, words: str
) -> None:
    """By its field, and without showing a password."""
    with pytest.raises(InvalidInput, match=words) as raised:
        found(source, provider, forge_url)
    assert raised.value.field == field
    assert "secret" not in raised.value.message


@pytest.mark.parametrize(
    ("own", "repository", "words"),
    [
        ("http://0.0.0.0:8484", OWN, "no address that anything is reached by"),
        ("http://[::]:8484", OWN, "no address that anything is reached by"),
        ("http://169.254.169.254", OWN, "no address that anything is reached by"),
        ("http://localhost:8484", GITHUB, "api.github.com is on the internet"),
        ("http://192.168.1.5:8484", GITHUB, "on the internet"),
        ("http://[fd00::1]:8484", GITHUB, "on the internet"),
        ("http://deploy", GITHUB, "on the internet"),
        ("https://deploy.internal", GITHUB, "on the internet"),
    ],
)
def test_an_address_that_the_forge_can_not_use(
    own: str, repository: ForgeRepository, words: str
) -> None:
    """Is refused before the forge is asked for anything."""
    with pytest.raises(InvalidInput, match=words) as raised:
        check_own_address(WebAddress.parse(own), repository)
    assert raised.value.field == "url"


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("https://deploy.example.com", []),
        ("http://deploy.example.com", ["not encrypted"]),
        ("http://127.0.0.1:8484", ["this machine alone"]),
        ("http://10.0.0.7:8484", ["local network", "host_names"]),
        ("https://other.example.com", ["host_names"]),
    ],
)
def test_what_is_allowed_and_often_not_meant(own: str, words: list[str]) -> None:
    """A remark each, and none on what is as it should be."""
    address = WebAddress.parse(own)
    check_own_address(address, OWN)
    remarks = list(remarks_on_address(address, ["deploy.example.com"]))
    assert len(remarks) == len(words)
    for remark, word in zip(remarks, words, strict=True):
        assert word in remark


def test_a_daemon_that_listens_everywhere_answers_for_any_address() -> None:
    """And for the names that were given to it, and no others."""
    everywhere = ["0.0.0.0"]
    by_address, by_name = (
        WebAddress.parse("https://10.0.0.7"),
        WebAddress.parse("https://a.example"),
    )
    assert not any("host_names" in one for one in remarks_on_address(by_address, everywhere))
    assert any("host_names" in one for one in remarks_on_address(by_name, everywhere))


def test_silence_has_its_usual_reasons() -> None:
    """The forge's own setting is named where the address is local, and only there."""
    local, public = WebAddress.parse("http://127.0.0.1:8484"), WebAddress.parse("https://a.example")
    told = list(reasons_for_silence(local, Provider.GITEA))
    assert "host.docker.internal" in told[0]
    assert "ALLOWED_HOST_LIST" in told[1]
    assert "Outbound requests" in list(reasons_for_silence(local, Provider.GITLAB))[1]
    assert not any("firewall" in one or "421" in one for one in told)
    elsewhere = " ".join(reasons_for_silence(public, Provider.GITEA))
    assert "firewall" in elsewhere
    assert "421" in elsewhere
    assert "ALLOWED_HOST_LIST" not in elsewhere


@pytest.mark.parametrize("text", ["", "a b", "a\nb", "tökén", "x" * 513])
def test_a_token_is_one_word(text: str) -> None:
    """Nothing of it is shown, and nothing of it can end a header."""
    with pytest.raises(InvalidInput) as raised:
        parse_forge_token(text)
    assert not text or text not in raised.value.message


@pytest.mark.parametrize(
    ("source", "provider", "forge_url", "page"),
    [
        ("git@github.com:team/app.git", None, None, "https://github.com/team/app/commit/"),
        (
            "https://github.com/team/app",
            "github",
            "https://api.github.com",
            "https://github.com/team/app/commit/",
        ),
        ("https://gitlab.com/a/b/app.git", None, None, "https://gitlab.com/a/b/app/-/commit/"),
        (
            "ssh://git@git.example:2222/team/app",
            "forgejo",
            "https://git.example/forge",
            "https://git.example/forge/team/app/commit/",
        ),
    ],
)
def test_where_people_look_at_a_commit(
    source: str, provider: str | None, forge_url: str | None, page: str
) -> None:
    commit = CommitSha("a" * 40)
    assert page_of_commit(GitUrl.parse(source), provider, forge_url, commit) == f"{page}{commit}"


def test_no_page_where_the_forge_is_not_known() -> None:
    commit = CommitSha("a" * 40)
    assert page_of_commit(GitUrl.parse("https://git.example/team/app"), None, None, commit) == ""
    assert page_of_commit(GitUrl.parse("https://github.com/app"), None, None, commit) == ""
