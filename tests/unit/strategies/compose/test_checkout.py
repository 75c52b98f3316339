"""Every path that compose would open, followed first. No engine, no compose: files on disk."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.errors import InvalidComposeFile
from reconciler.strategies.compose.checkout import (
    Checkout,
    Examined,
    read_inside,
    read_resolved,
    resolve_inside,
)

WEB = "services: {web: {image: a, REST}}"


def write(root: Path, files: dict[str, str]) -> None:
    """Write files; ``->target`` is a symbolic link."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)


def examine(root: Path, files: dict[str, str], path: str = "compose.yaml") -> Examined:
    write(root, files)
    return Checkout(root, path, RuamelComposeReader()).examine({"DIR": "d", "UP": ".."})


GOOD = [
    pytest.param({"compose.yaml": WEB.replace("REST", "env_file: a.env"), "a.env": ""}, id="env"),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: '${DIR}/a.env'"), "d/a.env": ""},
        id="env-file-by-variable",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: [{path: no, required: false}]")},
        id="optional-env-file",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: l"), "l": "->d/a.env", "d/a.env": ""},
        id="link-inside",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "volumes: ['./new:/x', 'a/../b:/y', n:/z]")},
        id="mounts-that-do-not-exist-yet",
    ),
    pytest.param(
        {
            "compose.yaml": "include: [sub/a.yaml]",
            "sub/a.yaml": "include: [../b.yaml]",
            "b.yaml": WEB.replace(", REST", ""),
        },
        id="include-goes-up-and-stays-inside",
    ),
    pytest.param(
        {"compose.yaml": "include: [compose.yaml]\n" + WEB.replace(", REST", "")},
        id="include-of-itself-ends",
    ),
]


@pytest.mark.parametrize("files", GOOD)
def test_what_stays_inside_is_followed(tmp_path: Path, files: dict[str, str]) -> None:
    """Links inside the checkout, folders made later, includes in a circle."""
    assert examine(tmp_path, files).order == ("web",)


BAD = [
    pytest.param({"compose.yaml": "->/etc/passwd"}, "symbolic link", id="link-out"),
    pytest.param({"compose.yaml": "->b", "b": WEB}, "is a symbolic link", id="link-inside"),
    pytest.param({"x": ""}, "not in the repository", id="missing"),
    pytest.param({"compose.yaml/x": ""}, "not a regular file", id="folder"),
    pytest.param({"compose.yaml": WEB, ".env": "->/etc/passwd"}, "symbolic link", id="dotenv"),
    pytest.param({"compose.yaml": WEB, ".env": "1A=x"}, "line 1", id="dotenv-unreadable"),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: ../x")}, "leaves", id="env-file-out"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: '${UP}/x'")}, "leaves", id="by-variable"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: $NONE")}, "NONE", id="unset-variable"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: x")}, "is not there", id="env-file-missing"
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: d/x"), "d": "->/etc"},
        "by a symbolic link",
        id="folder-link-out",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "volumes: ['./d/x:/x']"), "d": "->../.."},
        "by a symbolic link",
        id="mount-through-link",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "volumes: ['a/../../b:/x', './a/../../b:/y']")},
        "leaves",
        id="mount-out-in-the-middle",
    ),
    pytest.param({"compose.yaml": WEB.replace("REST", "volumes: ['~/x:/x']")}, "home", id="home"),
    pytest.param(
        {"compose.yaml": WEB + "\nsecrets: {s: {file: ../s}}"}, "secrets.s.file", id="secret-out"
    ),
    pytest.param({"compose.yaml": "include: [/etc/x.yaml]"}, "not in the", id="include-absolute"),
    pytest.param({"compose.yaml": "include: ['oci://h/x']"}, "remote", id="include-oci"),
    pytest.param({"compose.yaml": "include: ['git@h:a/b']"}, "remote", id="include-git"),
    pytest.param(
        {"compose.yaml": "include: [{path: a.yaml, project_directory: .}]", "a.yaml": WEB},
        "not supported",
        id="include-project-directory",
    ),
    pytest.param(
        {"compose.yaml": "include: [0.yaml]"}
        | {f"{n}.yaml": f"include: [{n + 1}.yaml]" for n in range(60)},
        "more than 50 files",
        id="include-chain",
    ),
    pytest.param(
        {"compose.yaml": WEB.replace("REST", "env_file: '${PATH:+/etc/}x'"), "x": ""},
        "PATH, which is compose's own",
        id="variable-that-only-compose-has",
    ),
    pytest.param(
        {
            "compose.yaml": WEB.replace("REST", "env_file: '${A:-${DOCKER_CONFIG:-a}/../x}'"),
            "x": "",
        },
        "DOCKER_CONFIG, which is compose's own",
        id="variable-that-only-compose-has-inside-another",
    ),
    pytest.param(
        {
            "compose.yaml": "include: [sub/a.yaml]",
            "sub/a.yaml": WEB.replace("REST", "env_file: '${P:-x}'"),
            "sub/x": "",
            "sub/.env": "P=/etc/app.env",
        },
        "must be written in full",
        id="variable-of-an-included-files-own-dotenv",
    ),
    pytest.param(
        {
            "compose.yaml": "include: [sub/a.yaml]",
            "sub/a.yaml": WEB.replace(", REST", ""),
            "sub/.env": "->/etc/passwd",
        },
        "symbolic link",
        id="included-files-own-dotenv-leads-out",
    ),
    pytest.param(
        {"compose.yaml": "include: [github.com/a/b.git]", "github.com/a/b.git": WEB},
        "remote",
        id="include-git-behind-a-file-of-its-name",
    ),
    pytest.param(
        {"compose.yaml": "include: [a.yaml]", "a.yaml": "a: 1\na: 2"},
        "a.yaml: .*twice",
        id="included-file-is-bad",
    ),
]


@pytest.mark.parametrize(("files", "problem"), BAD)
def test_what_leaves_or_is_missing_is_refused(
    tmp_path: Path, files: dict[str, str], problem: str
) -> None:
    """Each is named before compose may open it."""
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(InvalidComposeFile, match=problem):
        examine(root, files)


def test_a_device_is_not_read(tmp_path: Path) -> None:
    """A pipe in the place of a file would hold us up for ever."""
    os.mkfifo(tmp_path / "compose.yaml")
    with pytest.raises(InvalidComposeFile, match="not a regular file"):
        examine(tmp_path, {})


@pytest.mark.parametrize("link", ["base", "base/sub", "base/sub/key"])
def test_what_becomes_a_link_after_it_was_resolved_is_not_followed(
    tmp_path: Path, link: str
) -> None:
    """Who may write beside a file would have the daemon read one of its own."""
    key = tmp_path / "base/sub/key"
    key.parent.mkdir(parents=True)
    key.write_text("theirs")
    assert read_resolved(key) == b"theirs"
    swapped = tmp_path / link
    swapped.rename(tmp_path / "aside")
    swapped.symlink_to(tmp_path / "aside")
    assert key.read_text() == "theirs"
    with pytest.raises(OSError, match=r"key|sub|base"):
        read_resolved(key)


def test_files_of_the_host_are_left_to_the_policy(tmp_path: Path) -> None:
    """An absolute environment file is no part of the repository, and is said to be read."""
    found = examine(tmp_path, {"compose.yaml": WEB.replace("REST", "env_file: /etc/app.env")})
    assert found.host_files == (("services.web.env_file", "/etc/app.env"),)


def test_the_projects_variables_win_over_its_dotenv(tmp_path: Path) -> None:
    """As they do in the files that compose is given."""
    found = examine(tmp_path, {"compose.yaml": WEB.replace(", REST", ""), ".env": "DIR=x\nA=b"})
    assert found.environment == {"DIR": "d", "UP": "..", "A": "b"}


def test_extra_files_count_after_the_first_and_are_followed_too(tmp_path: Path) -> None:
    """The last image of a service is its image; paths are the first file's folder's."""
    write(
        tmp_path,
        {
            "a/compose.yaml": "services: {web: {image: a}, db: {image: b}}",
            "b/more.yaml": "services: {web: {image: c, env_file: x.env}, db: {scale: 2}}",
            "a/x.env": "",
        },
    )
    checkout = Checkout(tmp_path, "a/compose.yaml", RuamelComposeReader(), ("b/more.yaml",))
    found = checkout.examine({})
    assert [service.image for service in found.file.services] == ["c", "b"]
    assert found.opened == ("a/compose.yaml", "a/x.env", "b/more.yaml")


def test_what_is_built_counts_whichever_file_says_it(tmp_path: Path) -> None:
    """Compose puts together what several files say of a service."""
    more = "services: {web: {pull_policy: build}, db: {image: d}}"
    write(
        tmp_path,
        {"compose.yaml": "services: {web: {image: a, build: .}, db: {build: .}}", "b.yaml": more},
    )
    found = Checkout(tmp_path, "compose.yaml", RuamelComposeReader(), ("b.yaml",)).examine({})
    assert [(one.image, one.is_built) for one in found.file.services] == [
        ("a", True),
        ("d", False),
    ]


def test_what_was_borrowed_is_given_back(tmp_path: Path) -> None:
    """Only that: what is built is built from the commit."""
    write(tmp_path, {"compose.yaml": "services: {web: {build: .}}"})
    checkout = Checkout(tmp_path, "compose.yaml", RuamelComposeReader()).borrow({"a/.env": b"A=b"})
    assert (tmp_path / "a/.env").read_bytes() == b"A=b"
    checkout.give_back()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["compose.yaml"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("services: {web: {env_file: ../../x}}", "leaves"),
        ("->compose.yaml", "more.yaml is a symbolic link"),
        ("services: [", "more.yaml: "),
    ],
    ids=["leads-out", "link", "no-yaml"],
)
def test_an_extra_file_is_held_to_the_same_rules(tmp_path: Path, text: str, problem: str) -> None:
    """And named, where it breaks one."""
    write(tmp_path, {"compose.yaml": WEB.replace(", REST", ""), "more.yaml": text})
    checkout = Checkout(tmp_path, "compose.yaml", RuamelComposeReader(), ("more.yaml",))
    with pytest.raises(InvalidComposeFile, match=problem):
        checkout.examine({})


def test_untracked_environment_files_are_borrowed_and_tracked_ones_are_not(tmp_path: Path) -> None:
    """What an operator put into the work tree counts where the commit has nothing."""
    export, tree = tmp_path / "export", tmp_path / "tree"
    compose = WEB.replace("REST", "env_file: [a.env, b.env, c/c.env]")
    write(export, {"compose.yaml": compose, "a.env": "from=commit"})
    write(tree, {"a.env": "from=tree", "b.env": "from=tree", "c/c.env": "", ".env": "X=1"})
    checkout = Checkout(export, "compose.yaml", RuamelComposeReader())
    missing = checkout.missing_environment({})
    assert missing == (".env", "b.env", "c/c.env")
    checkout.borrow({path: read_inside(tree, path) or b"" for path in missing})
    assert (export / "a.env").read_text() == "from=commit"
    assert (export / "b.env").read_text() == "from=tree"
    assert checkout.examine({}).environment == {"X": "1"}


paths = st.lists(
    st.sampled_from(["..", ".", "a", "b", "link", "out", "", "/"]), min_size=1, max_size=8
).map("/".join)


@given(written=paths)
def test_no_path_gets_out(tmp_path_factory: pytest.TempPathFactory, written: str) -> None:
    """Whatever is written: it is refused, or leads somewhere inside."""
    top = tmp_path_factory.getbasetemp() / "escape"
    root = top / "root"
    if not root.exists():
        write(root, {"a/b/file": "", "link": "->a/b", "a/out": "->../..", "out": "->/"})
    if written.startswith("/"):
        written = written.lstrip("/") or "."
    try:
        found = resolve_inside(root, root / "a", written, "test")
    except InvalidComposeFile:
        return
    assert found == root or root in found.parents
