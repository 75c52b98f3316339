"""Names from outside: what is taken, and a corpus of what is refused everywhere."""

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.domain.errors import InvalidReference
from reconciler.domain.references import (
    BranchName,
    CommitSha,
    Digest,
    GitUrl,
    ImageReference,
    parse_project_name,
    parse_repository_path,
    parse_service_name,
)

PARSERS: dict[str, Callable[[str], object]] = {
    "url": GitUrl.parse,
    "branch": BranchName.parse,
    "path": parse_repository_path,
    "project": parse_project_name,
    "service": parse_service_name,
    "image": ImageReference.parse,
    "commit": CommitSha.parse,
    "digest": Digest.parse,
}

#: Refused by every parser: options, shells, other transports, ways out, and what hides from view.
HOSTILE = {
    "empty": "",
    "option": "--upload-pack=touch /tmp/executed",
    "short-option": "-u/tmp/executed",
    "config-option": "-ccore.sshCommand=touch",
    "proxy-option": "-oProxyCommand=touch",
    "dash": "-",
    "newline": "main\n",
    "newline-inside": "main\nrefs/heads/other",
    "carriage-return": "main\r",
    "nul": "main\0",
    "tab": "a\tb",
    "escape": "a\x1b[2Jb",
    "ext": "ext::sh -c touch% /tmp/executed",
    "ext-in-capitals": "EXT::sh -c touch% /tmp/executed",
    "fd": "fd::17/foo",
    "file": "file:///etc/passwd",
    "file-without-slashes": "file:etc/passwd",
    "git-protocol": "git://host/path",
    "ftp": "ftp://host/path",
    "absolute-path": "/etc/passwd",
    "up": "..",
    "up-and-out": "../../etc/passwd",
    "up-inside": "a/../../b",
    "backslash": "..\\..\\windows",
    "substitution": "$(touch /tmp/executed)",
    "backticks": "`touch /tmp/executed`",
    "variable": "${HOME}",
    "semicolon": "main;touch /tmp/executed",
    "pipe": "main|sh",
    "ampersand": "main&&sh",
    "quote": "main'",
    "double-quote": 'main"',
    "percent-newline": "https://host/%0a/x",
    "unicode-dash": "\u2010oProxyCommand=touch",
    "full-width-dots": "\uff0e\uff0e/etc",
    "right-to-left": "main\u202e",
    "zero-width": "ma\u200bin",
    "ten-kilobytes": "a" * 10_240,
    "ten-kilobyte-path": "a/" * 5_120,
}

#: Refused as URLs, above what is refused everywhere.
HOSTILE_URLS = {
    "option-as-host": "ssh://-oProxyCommand=touch/x",
    "option-as-user": "ssh://-oProxyCommand=touch@host/x",
    "option-as-scp-host": "git@-oProxyCommand=touch:x",
    "option-as-path": "ssh://git@host/-oProxyCommand=touch",
    "option-as-scp-path": "git@host:--upload-pack=touch",
    "password": "https://user:secret@host/x",
    "user-over-https": "https://user@host/x",
    "query": "https://host/x?service=git-upload-pack",
    "fragment": "https://host/x#main",
    "no-path": "https://host",
    "root-path": "https://host/",
    "no-host": "https:///x",
    "empty-part": "https://host/a//x",
    "dot-part": "https://host/./x",
    "up-part": "https://host/a/../x",
    "port-zero": "https://host:0/x",
    "port-too-large": "https://host:65536/x",
    "port-no-number": "https://host:ssh/x",
    "space": "https://host/a b",
    "second-at": "https://host@evil/x",
    "second-scheme": "https://ext::sh/x",
    "backslash-host": "https://host\\@evil/x",
    "semicolon-in-host": "ssh://git@host;touch/x",
    "substitution-in-user": "ssh://$(id)@host/x",
    "quote-in-path": "ssh://git@host/x'y",
    "scp-with-port-and-path": "git@host:22:x",
    "scp-of-root": "git@host:/",
    "bare-host-path": "host:path",
    "broken-brackets": "https://[::1/x",
}

HOSTILE_BRANCHES = {
    "option-part": "a/-x",
    "hidden-part": "a/.x",
    "lock": "a.lock",
    "lock-part": "a.lock/b",
    "double-slash": "a//b",
    "leading-slash": "/a",
    "trailing-slash": "a/",
    "trailing-dot": "a.",
    "reflog": "a@{1}",
    "tilde": "a~1",
    "caret": "a^",
    "colon": "a:b",
    "glob": "a*",
    "space": "a b",
    "too-long": "a" * 201,
}

HOSTILE_PATHS = {
    "git-folder": ".git/config",
    "git-folder-inside": "a/.git/hooks/post-checkout",
    "dot": ".",
    "trailing-slash": "a/",
    "double-slash": "a//b",
    "option-in-folder": "-a/b",
}


def corpus() -> list[object]:
    """Return one parameter for each parser and hostile text."""
    tables = dict.fromkeys(PARSERS, HOSTILE) | {
        "url": HOSTILE | HOSTILE_URLS,
        "branch": HOSTILE | HOSTILE_BRANCHES,
        "path": HOSTILE | HOSTILE_PATHS,
    }
    return [
        pytest.param(kind, text, id=f"{kind}-{name}")
        for kind, table in tables.items()
        for name, text in table.items()
    ]


@pytest.mark.parametrize(("kind", "text"), corpus())
def test_hostile_text_is_refused(kind: str, text: str) -> None:
    """Nothing of the corpus is a name, and the error is short and says which field was wrong."""
    with pytest.raises(InvalidReference) as raised:
        PARSERS[kind](text)
    assert raised.value.field
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 400


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://GitHub.com/team/app.git", "https://github.com/team/app.git"),
        ("https://host:8443/a/b/", "https://host:8443/a/b"),
        ("http://localhost:8080/app", "http://localhost:8080/app"),
        ("ssh://host/app.git", "ssh://git@host/app.git"),
        ("ssh://deploy@host:2222/srv/app.git", "ssh://deploy@host:2222/srv/app.git"),
        ("ssh://host/~deploy/app.git", "ssh://git@host/~deploy/app.git"),
        ("git@host:team/app.git", "ssh://git@host/team/app.git"),
        ("git@host:/srv/app.git", "ssh://git@host/srv/app.git"),
    ],
)
def test_urls_have_one_form(text: str, canonical: str) -> None:
    """However it is written, a repository has one address; parsing that changes nothing."""
    url = GitUrl.parse(text)
    assert str(url) == canonical
    assert GitUrl.parse(canonical) == url


def test_a_password_in_a_url_is_not_repeated() -> None:
    """The error of a URL with a password shows neither it nor the user."""
    with pytest.raises(InvalidReference) as raised:
        GitUrl.parse("https://bob:s3cret@host/app.git")
    assert "s3cret" not in raised.value.message
    assert "bob" not in raised.value.message


@pytest.mark.parametrize("text", ["main", "release/1.2", "feature/a_b-c", "user@host", "v1+2"])
def test_branches(text: str) -> None:
    """Usual names are taken as they are."""
    assert BranchName.parse(text).ref == f"refs/heads/{text}"


@pytest.mark.parametrize(
    "text", ["compose.yaml", "deploy/app/docker-compose.yml", "a b/c.yaml", ".env"]
)
def test_paths(text: str) -> None:
    """Usual paths are taken as they are."""
    assert parse_repository_path(text) == text


@given(st.text(max_size=60))
def test_no_text_makes_a_parser_fail_otherwise(text: str) -> None:
    """Whatever is typed, a parser answers or raises the one error that names the field."""
    for parse in PARSERS.values():
        try:
            parse(text)
        except InvalidReference:
            continue


@given(
    st.text("abz09._-/@:~$;'\"\\ \n\0%+", max_size=30),
    st.sampled_from(["https://host/", "ssh://host/", "ssh://", "https://", "git@host:", ""]),
)
def test_an_accepted_url_holds_nothing_that_means_more(text: str, prefix: str) -> None:
    """What passes is plain: no part is an option, a way out, or a character that a shell reads."""
    try:
        url = GitUrl.parse(prefix + text)
    except InvalidReference:
        return
    assert set(url.path) <= set(string.ascii_letters + string.digits + "._~/+@-")
    assert not url.host.startswith("-")
    assert not (url.user or "").startswith("-")
    assert not url.path.startswith("-")
    assert not {"", ".", ".."} & set(url.path.split("/"))
    assert GitUrl.parse(str(url)) == url
