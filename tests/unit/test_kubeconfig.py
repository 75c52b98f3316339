"""Kubeconfigs: what is inside counts, and nothing that they point at."""

import base64
import json
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kubernetes.entrance import in_cluster
from reconciler.adapters.kubernetes.kubeconfig import MOST_BYTES, parse_kubeconfig
from reconciler.domain.errors import InvalidInput
from reconciler.domain.secret import Secret
from tests.parts.certificates import CertificateAuthority

TOKEN = "a-token-that-is-nobodys-business"
EMBED = "--flatten --raw"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


def config(
    cluster: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
    **top: Any,
) -> str:
    """Return a kubeconfig of a cluster, with more of it; None leaves an entry out."""
    known = {"server": "https://api.example:6443"} | dict(cluster or {})
    who = {"token": TOKEN} | dict(user or {})
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {k: v for k, v in known.items() if v is not None}}],
        "users": [{"name": "u", "user": {k: v for k, v in who.items() if v is not None}}],
    } | top
    return json.dumps(whole)


def refusal(text: str, context: str = "") -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_kubeconfig(Secret.of(text), context)
    assert TOKEN not in caught.value.message
    return caught.value.message


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_a_token_and_authorities_that_are_embedded_are_taken(
    authority: CertificateAuthority,
) -> None:
    data = encoded(authority.ca_path)
    text = config({"certificate-authority-data": data, "tls-server-name": "kubernetes"})
    entrance = parse_kubeconfig(Secret.of(text))
    token = entrance.token()
    assert token is not None
    assert (entrance.server, token.reveal()) == ("https://api.example:6443", TOKEN)
    assert entrance.authority == authority.ca_path.read_text()
    assert entrance.server_name == "kubernetes"
    assert TOKEN not in repr(entrance)


def test_kubeconfigs_are_yaml_as_kubectl_writes_it() -> None:
    text = """
apiVersion: v1
kind: Config
preferences: {}
current-context: main
contexts:
- name: main
  context: {cluster: c, user: u, namespace: shop}
- {name: other, context: {cluster: d, user: u}}
clusters:
- cluster:
    server: https://one.example/k8s/clusters/c-1/
    insecure-skip-tls-verify: false
  name: c
- {name: d, cluster: {server: "https://[2001:db8::1]:6443"}}
users:
- {name: u, user: {token: "123456"}}
"""
    assert parse_kubeconfig(Secret.of(text)).server == "https://one.example/k8s/clusters/c-1"
    other = parse_kubeconfig(Secret.of(text), "other")
    assert other.server == "https://[2001:db8::1]:6443"
    assert "has no context 'third'; it has main, other" in refusal(text, "third")


def test_a_client_certificate_is_taken_with_its_key(authority: CertificateAuthority) -> None:
    pair = authority.issue("us")
    mine = {
        "token": None,
        "client-certificate-data": encoded(pair.certificate_path),
        "client-key-data": encoded(pair.key_path),
    }
    entrance = parse_kubeconfig(Secret.of(config(user=mine)))
    assert entrance.token() is None
    assert entrance.certificate is not None
    other = encoded(authority.issue("them", name="other").key_path)
    trust = entrance.trust()
    assert (trust.verify_mode, trust.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert not trust.verify_flags & ssl.VERIFY_X509_STRICT
    assert "no pair" in refusal(config(user=mine | {"client-key-data": other}))
    assert "client-certificate-data alone" in refusal(config(user=mine | {"client-key-data": None}))


@pytest.mark.parametrize(
    ("cluster", "user", "named"),
    [
        ({"certificate-authority": "/etc/ca.crt"}, {}, f"certificate-authority .*{EMBED}"),
        ({"insecure-skip-tls-verify": True}, {}, "insecure-skip-tls-verify .*anybody"),
        ({"proxy-url": "http://proxy.example"}, {}, "proxy-url"),
        ({}, {"client-certificate": "us.crt"}, f"client-certificate .*{EMBED}"),
        ({}, {"client-key": "/root/us.key"}, f"client-key .*{EMBED}"),
        ({}, {"tokenFile": "/proc/self/environ"}, f"tokenFile .*{EMBED}"),
        ({}, {"exec": {"command": "id"}}, "exec .*run a program .*token"),
        ({}, {"exec": []}, "exec .*run a program"),
        ({}, {"auth-provider": {"name": "gcp"}}, "auth-provider .*run a program"),
        ({}, {"username": "admin"}, "username"),
        ({}, {"password": "admin"}, "password"),
        ({}, {"as": "system:admin"}, "as in user 'u'"),
        ({"server": "http://api.example"}, {}, "without TLS"),
        ({"server": "https://me:secret@api.example"}, {}, "no https URL"),
        ({"server": "https://api.example/?x=1"}, {}, "no https URL"),
        ({"server": "https://[api.example"}, {}, "no URL"),
        ({"server": None}, {}, "no https URL"),
        ({"server": "file:///etc/passwd"}, {}, "no https URL"),
        ({"server": "https://api.example\n.evil"}, {}, "no https URL"),
        ({"server": "https://api.example\\@evil"}, {}, "no https URL"),
        ({"server": "https://api.example/a/../b"}, {}, "no https URL"),
        ({"certificate-authority-data": "bm9uZQ=="}, {}, "no base64 of PEM"),
        ({"certificate-authority-data": "%"}, {}, "no base64 of PEM"),
        (
            {"certificate-authority-data": base64.b64encode(b"-----BEGIN X").decode()},
            {},
            "no PEM of certificates",
        ),
        ({}, {"token": None}, "without a token"),
        ({}, {"token": "two words"}, "has a token that is none"),
        ({}, {"token": ["a"]}, "token that is no text"),
    ],
)
def test_what_points_elsewhere_or_is_none_is_refused_by_name(
    cluster: dict[str, Any], user: dict[str, Any], named: str
) -> None:
    said = refusal(config(cluster, user))
    assert said.startswith("kubeconfig: ")
    assert re.search(named, said), said


def test_entries_that_no_context_uses_may_not_point_elsewhere_either() -> None:
    users = [
        {"name": "u", "user": {"token": TOKEN}},
        {"name": "v", "user": {"exec": {"command": "id"}}},
    ]
    assert "exec in user 'v'" in refusal(config(users=users))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "is no kubeconfig"),
        ("[]", "is no kubeconfig"),
        ("kind: Pod", "is no kubeconfig"),
        ("a: [", "YAML"),
        ("a: &a [*a]", "YAML"),
        (f"{TOKEN}: 1\n{TOKEN}: 2", "YAML (line 2, column 1)"),
        (f"a: {'x' * MOST_BYTES}", "over 64 KiB"),
        ("!!python/object/apply:os.system ['id']", "YAML"),
        ("kind: Config", "no current-context"),
        (config(contexts=[]), "no context 'main'; it has none"),
        (config(clusters=[]), "cluster is not in it"),
        (config(users="us"), "no list of named entries in users"),
        (config(users=[{"name": "u"}, {"name": "u"}]), "twice"),
        (config(contexts=[{"name": ["a"]}]), "no list of named entries in contexts"),
    ],
)
def test_what_is_no_kubeconfig_is_said(text: str, named: str) -> None:
    assert named in refusal(text)


def test_a_pod_comes_by_its_service_account(
    tmp_path: Path, authority: CertificateAuthority
) -> None:
    """The token is read each time: the kubelet writes new ones."""
    (tmp_path / "ca.crt").write_bytes(authority.ca_path.read_bytes())
    (tmp_path / "token").write_text("first\n")
    where = {"KUBERNETES_SERVICE_HOST": "2001:db8::1", "KUBERNETES_SERVICE_PORT": "443"}
    entrance = in_cluster(where, tmp_path)
    assert entrance.server == "https://[2001:db8::1]:443"
    (tmp_path / "token").write_text("second\n")
    token = entrance.token()
    assert token is not None
    assert token.reveal() == "second"
    with pytest.raises(InvalidInput, match="runs in none"):
        in_cluster({}, tmp_path)
    (tmp_path / "token").unlink()
    with pytest.raises(InvalidInput, match="service account"):
        in_cluster(where, tmp_path)
