"""Projects, their polls, images, settings, secrets and output: what is put in comes out."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from reconciler.domain.access import AccessToken, Scope
from reconciler.domain.deployment import Stage, Status, Trigger
from reconciler.domain.errors import AlreadyExists, Conflict, NotFound
from reconciler.domain.forge import WebAddress
from reconciler.domain.path_patterns import parse_patterns
from reconciler.domain.project import Container, ExternalSource, HostedSource, Project, ProjectKind
from reconciler.domain.promotion import Environment, EnvironmentName
from reconciler.domain.reason_codes import ReasonCode
from reconciler.domain.references import (
    BranchName,
    GitUrl,
    ImageReference,
    ProjectName,
    RepositoryPath,
    ServiceName,
)
from reconciler.domain.registry_event import ImageHint, ImagesHint
from reconciler.domain.rules import Rules
from reconciler.domain.secret import Secret
from reconciler.domain.settings import MASTER_SWITCH, POLL_INTERVAL
from reconciler.domain.state import RegistryTrouble, SourceHealth, WatchedImage
from reconciler.domain.webhook import Provider
from reconciler.domain.windows import DeployWindow
from reconciler.domain.wish import Wish
from reconciler.ports import Acting, LogExtent, PollResult, SettingRecord, acting_for
from reconciler.store.logs import HEAD_BYTES, TAIL_BYTES
from reconciler.store.sql_store import SqlStore
from tests.parts.stores import (
    NOW,
    WEB,
    claim,
    commit,
    digest,
    failure,
    prepared,
    project,
    queue,
)

_MINUTE = timedelta(minutes=1)
_BARE = Project(WEB, ProjectKind.DOMAIN_ONLY, NOW, NOW)


class TestRegistries:
    cooled = RegistryTrouble(
        "r.example", ReasonCode.REGISTRY_COOLED, "429", NOW, NOW + _MINUTE, "ann"
    )
    away = RegistryTrouble("r.example", ReasonCode.REGISTRY_UNREACHABLE, "no answer", NOW)

    def test_troubles_come_out_as_they_went_in(self, store: SqlStore) -> None:
        for trouble in (self.away, self.cooled, replace(self.cooled, username="")):
            store.put_registry_trouble(trouble)
        everybody = replace(self.cooled, username="")
        assert set(store.list_registry_troubles()) == {everybody, self.cooled, self.away}
        store.drop_registry_trouble("r.example", ReasonCode.REGISTRY_UNREACHABLE)
        assert set(store.list_registry_troubles()) == {everybody, self.cooled}

    def test_what_goes_on_began_when_it_began(self, store: SqlStore) -> None:
        """One that was over by then begins anew."""
        for trouble in (self.away, self.cooled):
            store.put_registry_trouble(trouble)
            store.put_registry_trouble(replace(trouble, since=NOW + _MINUTE / 2, message="again"))
        for trouble in store.list_registry_troubles():
            assert (trouble.since, trouble.message) == (NOW, "again")
        anew = replace(self.cooled, since=NOW + 2 * _MINUTE, until=NOW + 3 * _MINUTE)
        store.put_registry_trouble(anew)
        assert anew in store.list_registry_troubles()


class TestProjects:
    @pytest.mark.parametrize(
        "declared",
        [
            pytest.param(project(), id="compose-external"),
            pytest.param(project(url="git@git.example:~me/app.git"), id="compose-ssh"),
            pytest.param(
                replace(
                    project(),
                    commit_statuses=True,
                    forge=Provider.GITEA,
                    forge_url=WebAddress.parse("https://git.example:8443/forge"),
                ),
                id="compose-told",
            ),
            pytest.param(
                replace(
                    project(),
                    source=HostedSource(ProjectName("web"), BranchName("release/1.2")),
                    compose_path=RepositoryPath("deploy/compose.yaml"),
                    stateful_services=(ServiceName("db"),),
                    generation=7,
                    mend_drift=True,
                    watch_paths=parse_patterns(["apps/web", "**/*.sql"]),
                    skip_markers=True,
                ),
                id="compose-hosted",
            ),
            pytest.param(
                replace(
                    _BARE,
                    kind=ProjectKind.IMAGE,
                    image=ImageReference.parse("localhost:5000/app:1"),
                    container=Container(("8080:80",), ("data:/data",)),
                ),
                id="image",
            ),
            pytest.param(
                replace(
                    project(),
                    environment=Environment(EnvironmentName("test")),
                    rules=Rules(
                        (DeployWindow((0, 4), time(9, 30), time(17), "Europe/Berlin"),),
                        timedelta(hours=6),
                        2,
                        timedelta(days=1),
                    ),
                ),
                id="compose-ruled",
            ),
            pytest.param(replace(_BARE, kind=ProjectKind.TUNNEL), id="tunnel"),
            pytest.param(_BARE, id="domain-only"),
        ],
    )
    def test_comes_out_as_it_went_in(self, store: SqlStore, declared: Project) -> None:
        store.create_project(declared)
        assert store.get_project(WEB) == declared
        assert store.list_projects() == [declared]
        assert store.get_state(WEB) == store.list_states()[WEB]

    def test_who_switched_auto_deploy_is_known(self, store: SqlStore) -> None:
        """With the switch itself, and not with any other edit."""
        with acting_for(Acting("fleet file")):
            store.create_project(project())

        def toggled() -> tuple[str, object]:
            state = store.get_state(WEB)
            assert state == store.list_states()[WEB]
            return state.toggled_by, state.toggled_at

        assert toggled() == ("fleet file", NOW)
        later = replace(project(), updated_at=NOW + _MINUTE, expose_port=81)
        with acting_for(Acting("bob")):
            store.update_project(later)
        assert toggled() == ("fleet file", NOW)
        with acting_for(Acting("ann")):
            store.update_project(replace(later, auto_deploy=False))
        assert toggled() == ("ann", NOW + _MINUTE)

    def test_a_name_is_taken_once(self, store: SqlStore) -> None:
        store.create_project(project())
        with pytest.raises(AlreadyExists):
            store.create_project(replace(project(), auto_deploy=False))
        assert store.get_project(WEB).auto_deploy

    def test_names_sort_the_same_everywhere(self, store: SqlStore) -> None:
        for name in ("b", "a-b", "ab", "a"):
            store.create_project(project(name))
        assert [one.name for one in store.list_projects()] == ["a", "a-b", "ab", "b"]

    def test_a_repositorys_followers_are_found(self, store: SqlStore) -> None:
        """By name: of a repository kept here, and of one elsewhere that is called the same."""
        for name, source in (
            ("b", HostedSource(ProjectName("shop"), BranchName("main"))),
            ("a", HostedSource(ProjectName("shop"), BranchName("live"))),
            ("no-1", HostedSource(ProjectName("shop-2"), BranchName("main"))),
        ):
            store.create_project(replace(project(name), source=source))
        for name, path in (
            ("d", "team/shop.git"),
            ("c", "shop"),
            ("no-2", "team/Shop.git"),
            ("no-3", "shop/api"),
            ("no-4", "team/workshop.git"),
        ):
            store.create_project(project(name, f"https://git.example/{path}"))
        found = store.list_followers(ProjectName("shop"))
        assert found == [store.get_project(ProjectName(name)) for name in "abcd"]
        assert store.list_followers(ProjectName("nobody")) == []

    def test_unknown_ones_are_not_found(self, store: SqlStore) -> None:
        for read in (store.get_project, store.get_state, store.get_health, store.images_read_at):
            with pytest.raises(NotFound):
                read(WEB)
        for change in (store.remove_project, store.poll_now, store.lift_quarantine):
            with pytest.raises(NotFound):
                change(WEB)
        with pytest.raises(NotFound):
            store.update_project(project())

    def test_removing_takes_everything_along(self, store: SqlStore) -> None:
        store.create_project(project())
        waiting = queue(store, "a")
        store.append_log(waiting.id, Stage.PREPARE, ["hello"], NOW)
        store.put_images(WEB, "a", [WatchedImage("app:1", ("web",))])
        store.put_secret(WEB, "variable:A", Secret.of("b"), bound_to="", username="", now=NOW)
        held = claim(store)
        with pytest.raises(Conflict):
            store.remove_project(WEB)
        store.finish(held, Status.FAILED, NOW, quarantine="bad")
        store.remove_project(WEB)
        with pytest.raises(NotFound):
            store.get_deployment(waiting.id)
        assert not store.read_log(waiting.id)
        store.create_project(project())
        state = store.get_state(WEB)
        assert (state.latest, state.tracked_commit, state.quarantined) == (None, None, ())
        assert (store.list_triggers(WEB), store.list_secrets(WEB)) == ([], [])
        assert queue(store, "a").id > waiting.id


class TestPolls:
    def due(self, store: SqlStore, at: timedelta = timedelta(), limit: int = 500) -> list[str]:
        return [
            task.project for task in store.claim_due_polls(NOW + at, hold_for=_MINUTE, limit=limit)
        ]

    def look(self, store: SqlStore, wait: timedelta = _MINUTE) -> SourceHealth:
        seen = SourceHealth(NOW, NOW + wait, commit("a"), NOW, False, 2, failure())
        store.record_polls([PollResult(WEB, seen)])
        return seen

    def test_a_new_one_is_due_at_once_and_to_one_caller(self, store: SqlStore) -> None:
        store.create_project(project())
        assert (self.due(store), self.due(store)) == (["web"], [])
        assert self.due(store, _MINUTE) == ["web"]

    @pytest.mark.parametrize(
        ("back", "due"),
        [
            pytest.param(timedelta(seconds=30), [], id="replicas-disagree"),
            pytest.param(timedelta(days=2), ["web"], id="clock-was-set"),
        ],
    )
    @pytest.mark.parametrize("looked", [True, False])
    def test_a_clock_that_was_set_back_stops_no_looks(
        self, store: SqlStore, back: timedelta, due: list[str], looked: bool
    ) -> None:
        """What was to happen in what is the far future now happens at once, and once."""
        store.create_project(project())
        assert self.due(store) == ["web"]
        if looked:
            self.look(store)
        store.correct_polls(NOW - back)
        assert (self.due(store, -back), self.due(store, -back)) == (due, [])

    def test_what_was_seen_comes_back_with_the_next_task(self, store: SqlStore) -> None:
        store.create_project(project())
        queue(store, "a")
        self.due(store)
        seen = self.look(store)
        assert store.get_health(WEB) == store.list_health()[WEB] == seen
        assert self.due(store, _MINUTE - timedelta(microseconds=1)) == []
        (task,) = store.claim_due_polls(NOW + _MINUTE, hold_for=_MINUTE, limit=1)
        assert (task.tracked, task.source) == (commit("a"), project().source)
        assert (task.health.failures, task.health.error) == (2, failure())

    def test_a_task_tells_whether_there_are_credentials(self, store: SqlStore) -> None:
        """So that looks without any need not ask for them one by one."""
        for name, secret in (("a", "git-token"), ("b", "variable:GIT"), ("c", "")):
            store.create_project(project(name))
            if secret:
                store.put_secret(
                    ProjectName(name), secret, Secret.of("s"), bound_to="", username="", now=NOW
                )
        tasks = store.claim_due_polls(NOW, hold_for=_MINUTE, limit=5)
        assert {task.project: task.has_credentials for task in tasks} == {
            "a": True,
            "b": False,
            "c": False,
        }

    def test_the_longest_due_come_first(self, store: SqlStore) -> None:
        for number, name in enumerate(["c", "a", "b"]):
            store.create_project(project(name))
            health = SourceHealth(NOW, NOW + number * _MINUTE)
            store.record_polls([PollResult(ProjectName(name), health)])
        assert self.due(store, 3 * _MINUTE, limit=2) == ["c", "a"]

    @pytest.mark.parametrize(
        "declared",
        [
            pytest.param(replace(project(), auto_deploy=False), id="off"),
            pytest.param(
                replace(project(), source=HostedSource(WEB, BranchName("main"))), id="hosted"
            ),
            pytest.param(replace(_BARE, auto_deploy=True), id="nothing-to-deploy"),
        ],
    )
    def test_others_are_never_due(self, store: SqlStore, declared: Project) -> None:
        store.create_project(declared)
        store.poll_now(WEB)
        assert self.due(store, 365 * 24 * 60 * _MINUTE) == []

    def test_switched_off_during_a_look_stays_off(self, store: SqlStore) -> None:
        store.create_project(project())
        self.due(store)
        store.update_project(replace(project(), auto_deploy=False))
        self.look(store)
        assert self.due(store, 60 * _MINUTE) == []
        store.update_project(project())
        assert self.due(store) == ["web"]

    def test_a_wish_during_a_look_waits_for_its_end(self, store: SqlStore) -> None:
        """Of two looks at once, the one with the older tip could be acted on last."""
        store.create_project(project())
        self.due(store)
        store.poll_now(WEB)
        assert self.due(store) == []
        self.look(store, 60 * _MINUTE)
        assert self.due(store) == ["web"]

    def test_a_wish_outlives_the_process_that_looked(self, store: SqlStore) -> None:
        """Nobody records that look any more, but its hold runs out."""
        store.create_project(project())
        self.due(store)
        store.poll_now(WEB)
        assert self.due(store, _MINUTE) == ["web"]

    def test_who_asked_for_a_look_comes_back_with_it_once(self, store: SqlStore) -> None:
        """The newest of several; a look that nobody asked for by name takes none away."""
        store.create_project(project())
        wish = Wish(Trigger.WEBHOOK, "forgejo", 7)
        store.poll_now(WEB, Wish(Trigger.WEBHOOK, "older"))
        store.poll_now(WEB, wish)
        store.poll_now(WEB)
        (task,) = store.claim_due_polls(NOW, hold_for=_MINUTE, limit=1)
        assert task.wish == wish
        (again,) = store.claim_due_polls(NOW + _MINUTE, hold_for=_MINUTE, limit=1)
        assert again.wish is None

    def test_what_somebody_wished_for_waits_for_no_others(self, store: SqlStore) -> None:
        """However many are due, and even where there is no room for any of them."""
        for name in ("a", "b", "web"):
            store.create_project(project(name))
        store.poll_now(WEB, Wish(Trigger.WEBHOOK, "forgejo", 7))
        store.poll_now(ProjectName("b"))
        assert self.due(store, limit=0) == ["web"]
        store.create_project(project("c"))
        assert self.due(store, limit=1) == ["a"]
        store.poll_now(ProjectName("c"), Wish(Trigger.WEBHOOK, "forgejo", 8))
        assert self.due(store, limit=1) == ["c", "b"]

    @pytest.mark.parametrize(
        "edited",
        [
            pytest.param(project(url="https://git.example/other.git").source, id="url"),
            pytest.param(
                ExternalSource(
                    GitUrl.parse("https://git.example/team/app.git"), BranchName("next")
                ),
                id="branch",
            ),
        ],
    )
    def test_an_edited_source_is_due_at_once_and_unseen(
        self, store: SqlStore, edited: ExternalSource
    ) -> None:
        store.create_project(project())
        self.due(store)
        self.look(store, 60 * _MINUTE)
        store.update_project(replace(project(), source=edited))
        assert store.get_health(WEB) == SourceHealth()
        assert self.due(store) == ["web"]

    def test_a_toggle_of_something_else_changes_no_schedule(self, store: SqlStore) -> None:
        store.create_project(project())
        self.due(store)
        seen = self.look(store)
        store.update_project(replace(project(), expose_port=81))
        assert store.get_health(WEB) == seen


class TestImages:
    first = WatchedImage("app:1", ("web", "worker"), note="wud.tag.include counts for nothing")
    second = WatchedImage("db:15", ("db",), "its service is stateful")

    def test_replacing_keeps_known_digests(self, store: SqlStore) -> None:
        store.create_project(project())
        store.put_images(WEB, "one", [self.first, self.second])
        looked = replace(self.first, digest=digest("1"), first_seen_at=NOW, looked_at=NOW)
        gone = WatchedImage("gone:1", ("web",), digest=digest("2"))
        store.record_lookups({WEB: [looked, gone], ProjectName("nobody"): [looked]})
        assert store.get_images(WEB) == [looked, self.second]
        third = WatchedImage("third:1", ("web",), error=failure())
        store.put_images(WEB, "two", [third, replace(self.first, services=("web",))])
        assert store.get_images(WEB) == [third, replace(looked, services=("web",))]
        assert store.list_images() == {WEB: [third, replace(looked, services=("web",))]}
        assert store.images_read_at(WEB) == "two"

    def test_an_older_look_up_takes_no_newer_one_s_place(self, store: SqlStore) -> None:
        store.create_project(project())
        store.put_images(WEB, "one", [self.first])
        newer = replace(self.first, digest=digest("2"), looked_at=NOW + timedelta(seconds=2))
        older = replace(self.first, digest=digest("1"), looked_at=NOW + timedelta(seconds=3))
        store.record_lookups({WEB: [newer]}, NOW)
        store.record_lookups({WEB: [older]}, NOW + timedelta(seconds=1))
        assert store.get_images(WEB) == [newer]
        store.record_lookups({WEB: [older]}, NOW + timedelta(seconds=2))
        assert store.get_images(WEB) == [older]

    def test_seeding_counts_only_on_what_it_was_compared_with(self, store: SqlStore) -> None:
        store.create_project(project())
        store.put_images(WEB, "one", [self.first])
        assert store.seed_images(WEB, {"app:1": digest("1")}, {})
        assert not store.seed_images(WEB, {"app:1": digest("2")}, {})
        assert store.get_state(WEB).tracked_images == {"app:1": digest("1")}
        assert store.seed_images(WEB, {"app:1": digest("2")}, {"app:1": digest("1")})

    def test_who_watches_an_image_is_found(self, store: SqlStore) -> None:
        """By its whole name, or whatever its tag; not who only runs it."""
        host = "registry.example:5000"
        names = {
            "web": ("team/app:1", ""),
            "too": ("team/app:1", ""),
            "tag": ("team/app:2", ""),
            "like": ("team_app:1", ""),
            "under": ("team/app/sub:1", ""),
            "only-runs": ("team/app:1", "its service is stateful"),
        }
        for name, (image, because) in names.items():
            store.create_project(replace(project(), name=ProjectName(name)))
            store.put_images(
                ProjectName(name), "one", [WatchedImage(f"{host}/{image}", ("web",), because)]
            )

        def found(*images: tuple[str, str | None]) -> list[str]:
            hint = ImagesHint(tuple(ImageHint(host, *image) for image in images))
            return [one.name for one in store.list_image_followers(hint)]

        assert found(("team/app", "1")) == ["too", "web"]
        assert found(("team/app", "1"), ("team/app", "2")) == ["tag", "too", "web"]
        assert found(("team/app", None)) == ["tag", "too", "web"]
        assert found(("team_app", None)) == ["like"]
        assert found(("team/nobody", None), ("team/app", "3")) == []

    def test_seeding_tracks_without_a_deployment(self, store: SqlStore) -> None:
        store.create_project(project())
        store.put_images(WEB, "one", [self.first, self.second])
        store.seed_images(WEB, {"app:1": digest("1"), "old:1": digest("3")})
        store.seed_images(WEB, {"new:1": digest("2")})
        state = store.get_state(WEB)
        assert state.tracked_images == {"app:1": digest("1"), "new:1": digest("2")}
        assert (state.images_seeded, state.latest) == (True, None)


class TestSettings:
    def test_defaults_until_somebody_changes_them(self, store: SqlStore) -> None:
        assert store.get_settings()[POLL_INTERVAL] == SettingRecord(POLL_INTERVAL, 60)
        assert store.get_switch().enabled
        for value in (False, True, False):
            store.put_settings([SettingRecord(MASTER_SWITCH, value, "ada", NOW, "freeze\0")])
        switch = store.get_switch()
        assert (switch.enabled, switch.changed_by, switch.changed_at) == (False, "ada", NOW)
        changed = SettingRecord(POLL_INTERVAL, 120, "ada", NOW)
        store.put_settings([changed])
        assert store.get_settings()[POLL_INTERVAL] == changed

    def test_checks_itself(self, store: SqlStore) -> None:
        store.check()
        store.check()


class TestSecrets:
    def put(self, store: SqlStore, name: str, text: str, to: str = "", user: str = "") -> None:
        store.put_secret(WEB, name, Secret.of(text), bound_to=to, username=user, now=NOW)

    def test_credentials_go_to_their_origin_alone(self, store: SqlStore) -> None:
        store.create_project(project())
        source = project().source
        assert isinstance(source, ExternalSource)
        assert store.git_credentials(WEB, source) is None
        self.put(store, "git-token", "t0ken", source.url.origin, "bot")
        self.put(store, "git-ssh-key", "key", "ssh://elsewhere")
        found = store.git_credentials(WEB, source)
        assert found
        assert found.token
        assert (found.username, found.token.reveal(), found.ssh_key) == ("bot", "t0ken", None)
        for other in (
            "https://git.example:8443/team/app.git",
            "http://git.example/team/app.git",
            "https://git.example.evil/team/app.git",
        ):
            assert store.git_credentials(WEB, project(url=other).source) is None
        assert store.git_credentials(WEB, HostedSource(WEB, BranchName("main"))) is None
        assert store.git_credentials(WEB, None) is None

    def test_another_origin_drops_them_the_same_one_does_not(self, store: SqlStore) -> None:
        store.create_project(project())
        self.put(store, "git-token", "t", "https://git.example")
        self.put(store, "registry:r.example", "r", "r.example", "<token>")
        self.put(store, "variable:A", "a")
        store.update_project(project(url="https://git.example/moved.git"))
        assert len(store.list_secrets(WEB)) == 3
        store.update_project(project(url="https://other.example/moved.git"))
        assert [one.name for one in store.list_secrets(WEB)] == ["registry:r.example", "variable:A"]

    def test_a_forges_token_goes_to_its_api_alone(self, store: SqlStore) -> None:
        """And is dropped with the forge, not with another branch of the same one."""
        told = replace(project(), forge=Provider.GITEA)
        store.create_project(told)
        self.put(store, "forge-token", "t0ken", "https://git.example")
        found = store.find_forge_token(WEB, "https://git.example")
        assert found
        assert found.reveal() == "t0ken"
        for other in ("https://git.example:8443", "http://git.example", "https://git.example.evil"):
            assert store.find_forge_token(WEB, other) is None
        store.update_project(replace(told, auto_deploy=False))
        assert store.list_secrets(WEB)
        store.update_project(replace(told, forge_url=WebAddress.parse("https://forge.example")))
        assert store.list_secrets(WEB) == []

    def test_only_what_may_be_shown_is_listed(self, store: SqlStore) -> None:
        store.create_project(project())
        self.put(store, "variable:B", "same")
        self.put(store, "variable:A", "same")
        self.put(store, "variable:A", "other")
        first, second = store.list_secrets(WEB)
        assert (first.name, second.name) == ("variable:A", "variable:B")
        assert first.fingerprint != second.fingerprint
        assert len(first.fingerprint) == 8
        assert {name: one.reveal() for name, one in store.variables(WEB).items()} == {
            "A": "other",
            "B": "same",
        }
        store.remove_secret(WEB, "variable:A")
        with pytest.raises(NotFound):
            store.remove_secret(WEB, "variable:A")
        with pytest.raises(NotFound):
            store.put_secret(
                ProjectName("nobody"),
                "variable:A",
                Secret.of(""),
                bound_to="",
                username="",
                now=NOW,
            )

    def test_registry_credentials_are_for_one_host_and_project(self, store: SqlStore) -> None:
        store.create_project(project())
        self.put(store, "registry:r.example", "pw", "r.example", "bot")
        self.put(store, "registry:t.example", "refresh", "t.example", "<token>")
        found = store.registry_credentials("r.example", WEB)
        assert found
        assert (found.username, found.password.reveal(), found.identity_token) == (
            "bot",
            "pw",
            False,
        )
        token = store.registry_credentials("t.example", WEB)
        assert token
        assert token.identity_token
        assert store.registry_credentials("r.example", None) is None
        assert store.registry_credentials("example", WEB) is None
        assert store.has_registry_credentials("r.example", WEB)
        assert store.list_registry_users() == {
            "r.example": {WEB: "bot"},
            "t.example": {WEB: "<token>"},
        }
        assert not store.has_registry_credentials("r.example:5000", WEB)

    def test_the_first_host_key_stays(self, store: SqlStore) -> None:
        assert store.get_host_key("ssh://h") == ""
        store.pin_host_key("ssh://h", "ssh-ed25519 A", NOW)
        store.pin_host_key("ssh://h", "ssh-ed25519 B", NOW)
        assert store.get_host_key("ssh://h") == "ssh-ed25519 A"

    def test_tokens_are_found_by_their_hash(self, store: SqlStore) -> None:
        token = AccessToken("ci", frozenset({Scope.PUSH}), (WEB,), NOW, "ada")
        store.add_token(token, "d" * 64)
        with pytest.raises(AlreadyExists):
            store.add_token(AccessToken("ci", frozenset({Scope.ADMIN}), None, NOW), "e" * 64)
        assert store.find_token("d" * 64, NOW, "192.0.2.7") == token
        assert store.find_token("e" * 64, NOW) is None
        assert store.list_tokens() == [replace(token, last_used_at=NOW, last_used_from="192.0.2.7")]
        store.remove_token("ci")
        with pytest.raises(NotFound):
            store.remove_token("ci")


class TestLogs:
    @pytest.fixture
    def number(self, store: SqlStore) -> int:
        store.create_project(project())
        return queue(store, "a").id

    def test_lines_come_back_in_order(self, store: SqlStore, number: int) -> None:
        deployment = queue(store, "b").id
        store.append_log(deployment, Stage.PREPARE, ["one", "two\0\udcff"], NOW)
        store.append_log(deployment, Stage.APPLY, ["three"], NOW)
        lines = store.read_log(deployment)
        assert [(line.number, line.stage, line.text) for line in lines] == [
            (1, Stage.PREPARE, "one"),
            (2, Stage.PREPARE, "two␀?"),
            (3, Stage.APPLY, "three"),
        ]
        assert store.read_log(deployment, after=1, limit=1) == lines[1:2]
        assert store.read_log(deployment, after=3) == []

    def test_head_and_newest_are_kept(self, store: SqlStore, number: int) -> None:
        deployment = store.get_state(WEB).latest
        assert deployment
        total = 2500
        for start in range(0, total, 250):
            lines = [f"{n:06} {'x' * 992}" for n in range(start + 1, start + 251)]
            store.append_log(deployment.id, Stage.APPLY, lines, NOW)
        kept = store.read_log(deployment.id, limit=total)
        numbers = [line.number for line in kept]
        (gap,) = [line for line in kept if line.text.startswith("…")]
        head = [line for line in kept if line.number < gap.number]
        tail = [line for line in kept if line.number > gap.number]
        assert [line.number for line in head] == list(range(1, HEAD_BYTES // 1000 + 1))
        assert [line.number for line in tail] == list(range(gap.number + 1, total + 1))
        assert all(int(line.text[:6]) == line.number for line in head + tail)
        assert f"{gap.number - len(head):,} lines" in gap.text
        assert numbers == sorted(numbers)
        assert TAIL_BYTES * 0.9 < len(tail) * 1000 <= TAIL_BYTES * 1.2
        extent = store.log_extent(deployment.id)
        assert extent == LogExtent(head[-1].number, gap.number, total)
        assert extent.count == len(kept)

    def test_which_lines_there_are(self, store: SqlStore, number: int) -> None:
        deployment = queue(store, "b").id
        assert store.log_extent(deployment).parts == ()
        store.append_log(deployment, Stage.PREPARE, ["one", "two"], NOW)
        assert store.log_extent(deployment).parts == ((1, 2),)

    def test_lines_are_found_however_they_are_written(self, store: SqlStore, number: int) -> None:
        deployment = queue(store, "b").id
        said = ["All is well", "ERROR: 100% of it", "error_1", "an Error of 1000"]
        store.append_log(deployment, Stage.PREPARE, said[:2], NOW)
        store.append_log(deployment, Stage.VERIFY, said[2:], NOW)
        assert store.find_in_log(deployment, ["error"]) == [2, 3, 4]
        assert store.find_in_log(deployment, ["error"], stage=Stage.VERIFY) == [3, 4]
        assert store.find_in_log(deployment, ["100%", "WELL"]) == [1, 2]
        assert store.find_in_log(deployment, ["r_1"]) == [3]
        assert store.find_in_log(deployment, ["nothing of it"]) == []

    def test_a_long_line_is_cut(self, store: SqlStore, number: int) -> None:
        deployment = store.get_state(WEB).latest
        assert deployment
        store.append_log(deployment.id, Stage.APPLY, ["é" * 100_000], NOW)
        (line,) = store.read_log(deployment.id)
        assert line.text == "é" * 4096 + "…"


def test_what_was_prepared_comes_back(store: SqlStore) -> None:
    """A rollback finds exactly what applying needs."""
    store.create_project(project())
    queue(store, "a")
    held = claim(store)
    store.record_prepared(held, prepared("a"))
    assert store.get_deployment(held.deployment.id).prepared == prepared("a")
