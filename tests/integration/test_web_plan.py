"""Plans over HTTP, of a hosted repository; nothing is deployed here."""

from pathlib import Path

import pytest

from tests.parts.git_repository import Repository
from tests.parts.web_client import WebDaemon, ok, refused

pytestmark = pytest.mark.needs_git

AT = "/api/v1/projects/shop"


def test_f4_a_plan_over_http(tmp_path: Path) -> None:
    """F4: who may read may have one; what is asked for wrongly is told by its field."""
    with WebDaemon(tmp_path) as daemon:
        api = daemon.local
        body = {"name": "shop", "kind": "compose", "create_repository": True, "repository": "shop"}
        assert api.post("/api/v1/projects", json=body).is_success
        refused(api.get(f"{AT}/plan"), 409, "revision-not-found")
        refused(api.get("/api/v1/projects/none/plan"), 404, "not-found")
        assert refused(api.get(f"{AT}/plan?commit=main"), 422, "invalid-reference")["field"]
        repository = Repository(tmp_path / "data" / "repositories" / "shop.git")
        tip = repository.commit({"compose.yaml": "services: {web: {image: [}"})
        reader = daemon.remote(daemon.make_token("reader", "read"))
        plan = ok(reader.get(f"{AT}/plan"))
        assert (plan["commit"], plan["live"], plan["direction"]) == (tip, None, "first")
        codes = [one["code"] for one in plan["findings"]]
        assert codes == ["expose-missing", "invalid-compose-file"]
        assert plan["verdict"].startswith("Deploying now would be refused: ")
        asked = f"{AT}/deployments"
        refused(api.post(asked, json={"plan": "0" * 16}), 409, "plan-outdated")
        wrong = refused(api.post(asked, json={"plan": "x"}), 422, "invalid-input")
        assert wrong["field"] == "plan"
        refused(api.post(asked, json={"plan": plan["plan"]}), 409, "expose-missing")
