"""The compose files of a folder, with all that they include or extend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from reconciler.adapters.compose_file import RuamelComposeReader
from reconciler.domain.errors import (
    InvalidComposeFile,
    RevisionNotFound,
    SourceUnreachable,
    TargetUnreachable,
)
from reconciler.domain.host import HostName, HostPath
from reconciler.domain.references import ProjectName, RepositoryPath
from reconciler.domain.target import Target, TargetStrategy
from reconciler.pipeline.adopting import Folders
from reconciler.testing import ManualClock

MAIN = RepositoryPath("compose.yaml")
WEB = "services: {web: {image: web:1}}"


@dataclass
class Lying:
    """``BaseFiles`` of a folder, path by path."""

    there: dict[str, str]
    asked: list[list[str]] = field(default_factory=list)
    error: Exception | None = None

    def read(self, target: Target, paths: Sequence[str]) -> Mapping[str, bytes]:
        self.asked.append(list(paths))
        if self.error:
            raise self.error
        return {path: self.there[path].encode() for path in paths if path in self.there}


def read(files: Lying, *more: str) -> list[str]:
    folders = Folders(None, files, RuamelComposeReader(), ManualClock(), None)  # type: ignore[arg-type]
    target = Target(
        ProjectName("shop"),
        HostName("web1"),
        TargetStrategy.COMPOSE,
        compose_files=tuple(map(RepositoryPath, more)),
        base=HostPath("/srv/apps/shop"),
    )
    found = folders.read(target, MAIN)
    assert {path: text.decode() for path, text in found.items()} == {
        path: files.there[path] for path in found
    }
    return sorted(found)


def extending(path: str) -> str:
    return f"services: {{web: {{extends: {{file: {path}, service: web}}}}}}"


def test_what_is_included_or_extended_is_read_too() -> None:
    """From the folder of the file that says so, however deep; each file is asked for once."""
    files = Lying(
        {
            MAIN: f"include: [a/one.yaml, {{path: [a/two.yaml, b.yaml]}}]\n{WEB}",
            "a/one.yaml": extending("deep/base.yaml"),
            "a/two.yaml": extending("../b.yaml"),
            "a/deep/base.yaml": WEB,
            "b.yaml": WEB,
            "unasked.yaml": WEB,
        }
    )
    assert read(files) == ["a/deep/base.yaml", "a/one.yaml", "a/two.yaml", "b.yaml", MAIN]
    asked = [path for paths in files.asked for path in paths]
    assert len(asked) == len(set(asked))


def test_what_another_main_file_names_lies_beside_the_first_one() -> None:
    """As compose has it: paths in every main file start from the first one's folder."""
    files = Lying({MAIN: WEB, "live/over.yaml": extending("base.yaml"), "base.yaml": WEB})
    assert read(files, "live/over.yaml") == ["base.yaml", MAIN, "live/over.yaml"]


def test_files_that_name_each_other_are_read_once() -> None:
    """What compose makes of the circle it says itself."""
    files = Lying({MAIN: "include: [b.yaml]", "b.yaml": f"include: [compose.yaml]\n{WEB}"})
    assert read(files) == ["b.yaml", MAIN]


def test_environment_files_and_data_stay_where_they_are() -> None:
    """They mostly hold secrets; only what compose reads as a compose file is asked for."""
    files = Lying(
        {
            MAIN: "services: {web: {image: a, env_file: secret.env, volumes: ['./data:/data'],"
            " label_file: labels}}\nsecrets: {one: {file: ./token}}\nconfigs: {two: {file: ./c}}",
            **dict.fromkeys(("secret.env", ".env", "labels", "token", "c"), "A=b"),
        }
    )
    assert read(files) == [MAIN]
    assert files.asked == [[MAIN]]


@pytest.mark.parametrize(
    "path",
    ["../out.yaml", "/etc/compose.yaml", "${SET}/a.yaml", "https://x.example/a.yaml", "a/../../b"],
)
def test_what_leads_out_of_the_folder_is_not_asked_for(path: str) -> None:
    """Whoever deploys it says why that can't be."""
    files = Lying({MAIN: f"include: ['{path}']\n{WEB}"})
    assert read(files) == [MAIN]


def test_a_file_that_is_no_yaml_is_named() -> None:
    """One of several: whoever edits them in the folder has to find it."""
    files = Lying({MAIN: f"include: [a/one.yaml]\n{WEB}", "a/one.yaml": "services: ["})
    with pytest.raises(InvalidComposeFile, match=r"^a/one\.yaml: the file is not acceptable YAML"):
        read(files)


def test_more_files_than_a_project_may_have_are_refused() -> None:
    """In one file, or each naming the next one for ever."""
    wide = Lying({MAIN: f"include: [{', '.join(f'{n}.yaml' for n in range(5000))}]\n{WEB}"})
    with pytest.raises(InvalidComposeFile, match="more than 50 files"):
        read(wide)
    assert wide.asked == [[MAIN]]
    endless = Lying({MAIN: "include: [0.yaml]"})
    endless.there |= {f"{n}.yaml": f"include: [{n + 1}.yaml]" for n in range(100)}
    with pytest.raises(InvalidComposeFile, match="more than 50 files"):
        read(endless)
    assert len(endless.asked) < 60


def test_what_is_wrong_names_the_file_and_the_folder() -> None:
    """One that is gone, one that is no compose file, and a host that is away."""
    with pytest.raises(RevisionNotFound, match=r"b\.yaml is not in /srv/apps/shop on web1"):
        read(Lying({MAIN: "include: [b.yaml]"}))
    with pytest.raises(InvalidComposeFile):
        read(Lying({MAIN: "services: ["}))
    with pytest.raises(InvalidComposeFile, match="1 MiB"):
        read(Lying({MAIN: "#" * ((1 << 20) + 1)}))
    away = Lying({MAIN: WEB}, error=TargetUnreachable("host web1 is away", host="web1"))
    with pytest.raises(SourceUnreachable, match="web1 is away") as refused:
        read(away)
    assert refused.value.evidence == {"host": "web1"}
