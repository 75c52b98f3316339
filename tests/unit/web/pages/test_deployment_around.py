"""The delivery that announced a deployment, and who is told of it."""

from pathlib import Path

from reconciler.domain.deployment import Trigger
from reconciler.domain.references import ProjectName
from reconciler.domain.secret import Secret
from reconciler.domain.webhook import Matching, Provider, Webhook, WebhookName
from reconciler.domain.webhook_signature import Verdict
from reconciler.ports import Delivery
from reconciler.store.sql_store import SqlStore
from reconciler.web.pages.deployment.around import delivery_of, told_of
from reconciler.web.principal import Sight
from tests.parts.showing import Shown
from tests.parts.web_daemon import open_application

ALL, NONE = Sight("ada", None), Sight("eve", frozenset())


def test_a_deployment_names_the_delivery_that_led_to_it(tmp_path: Path) -> None:
    application = open_application(tmp_path)
    store = application.store
    assert isinstance(store, SqlStore)
    shown, name = Shown(store), ProjectName("shop")
    project = shown.declare(name)
    polled = shown.deploy(project, 1, shown.now)
    pushed = shown.ask(project, 2, shown.now, Trigger.WEBHOOK)
    hook = Webhook(WebhookName("webhook"), Provider.FORGEJO, shown.now, name, Matching.APPS)
    store.create_webhook(hook, Secret.of("a secret of some length"))
    assert delivery_of(store, pushed, ALL) is None
    led_to = {name: f"deployment {pushed.id}: admitted"}
    made = Delivery(hook.name, shown.now, "10.0.0.7", Verdict.VERIFIED, "push", led_to=led_to)
    (number,) = store.record_deliveries([made], {})
    found = delivery_of(store, pushed, ALL)
    assert found is not None
    assert found.address == f"/webhooks/webhook/deliveries/{number}"
    assert delivery_of(store, pushed, NONE) is None
    assert delivery_of(store, polled, ALL) is None
    assert told_of(store, pushed) == []
    application.close()
