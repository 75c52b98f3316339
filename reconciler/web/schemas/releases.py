"""Bodies of releases."""

from datetime import datetime
from typing import Self

from reconciler.domain.release import BUILD_SUCCEEDED, MOST_CHECKS, MOST_IMAGES, ReleaseRecord
from reconciler.pipeline.releases import CheckDraft, ReleaseDraft
from reconciler.web.schemas.body import AT, DIGEST, SHA, Answer, Asked, said

_IMAGE = "registry.example/team/shop:1.4"
_URL = "https://ci.example/team/shop/runs/812"


class NewCheck(Asked):
    """A check that passed."""

    name: str = said("1 to 100 characters.", "unit tests")
    status: str = said("success, neutral or skipped.", "success")
    url: str | None = said("Where to read more: http:// or https://.", _URL, default=None)

    def draft(self) -> CheckDraft:
        """Return what was reported."""
        return CheckDraft(self.name, self.status, self.url)


class NewBuild(Asked):
    """The build that made the images."""

    result: str = said("Only success: what failed is no release.", BUILD_SUCCEEDED)
    finished_at: str = said("When it ended, with the zone.", AT)
    url: str | None = said("Where to read more: http:// or https://.", _URL, default=None)


class NewRelease(Asked):
    """A release to keep."""

    project: str = said("The project that it is of.", "shop")
    commit: str = said("The full commit that was built; the project's source has it.", SHA)
    images: dict[str, str] | None = said(
        f"Image → its digest, 1 to {MOST_IMAGES}; the registries have them already.",
        {_IMAGE: DIGEST},
        default=None,
    )
    image: str | None = said("With digest, instead of images: the only one.", _IMAGE, default=None)
    digest: str | None = said("The digest of image.", DIGEST, default=None)
    build: NewBuild = said("The build.")
    checks: list[NewCheck] = said(
        f"The checks that passed, at most {MOST_CHECKS}.",
        [{"name": "unit tests", "status": "success", "url": _URL}],
        default_factory=list,
    )

    def draft(self) -> ReleaseDraft:
        """Return what was reported."""
        return ReleaseDraft(
            project=self.project,
            commit=self.commit,
            build_result=self.build.result,
            build_finished_at=self.build.finished_at,
            build_url=self.build.url,
            images=self.images,
            image=self.image,
            digest=self.digest,
            checks=[check.draft() for check in self.checks],
        )


class CheckBody(Answer):
    """A check that passed."""

    name: str = said("Its name.", "unit tests")
    status: str = said("success, neutral or skipped.", "success")
    url: str | None = said("Where to read more.", _URL)


class BuildBody(Answer):
    """A build that succeeded."""

    result: str = said("Always success.", BUILD_SUCCEEDED)
    finished_at: datetime = said("When it ended.", AT)
    url: str | None = said("Where to read more.", _URL)


class ReleaseBody(Answer):
    """What a build made of a commit. It never changes."""

    id: int = said("Its number; the newest of a project has the highest.", 7)
    project: str = said("The project that it is of.", "shop")
    commit: str = said("The commit that was built.", SHA)
    images: dict[str, str] = said("Image → its digest.", {_IMAGE: DIGEST})
    build: BuildBody = said("The build.")
    checks: list[CheckBody] = said("The checks that passed.", [])
    recorded_at: datetime = said("When it was reported.", AT)
    recorded_by: str = said("Who reported it: a token's name, or local:uid.", "ci")

    @classmethod
    def of(cls, record: ReleaseRecord) -> Self:
        """Return the body of ``record``."""
        report = record.report
        return cls(
            id=record.id,
            project=report.project,
            commit=report.commit.text,
            images={image: digest.text for image, digest in report.images.items()},
            build=BuildBody(
                result=BUILD_SUCCEEDED,
                finished_at=report.build.finished_at,
                url=report.build.url or None,
            ),
            checks=[
                CheckBody(name=check.name, status=check.status, url=check.url or None)
                for check in report.checks
            ],
            recorded_at=record.recorded_at,
            recorded_by=record.recorded_by,
        )


class ReleasePage(Answer):
    """Some releases, newest first."""

    items: list[ReleaseBody] = said("The releases.", [])
    next: str | None = said("Give it as `cursor` for the next page; null on the last.", "6")
