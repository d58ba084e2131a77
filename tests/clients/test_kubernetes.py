"""The door to a Kubernetes API server: what it refuses to read or to reach, its bounds, and what its errors are."""

import json
import os
import shutil
import ssl
import stat
import subprocess
import sys
from time import monotonic

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sre_platform.clients import kubeconfig, kubernetes
from sre_platform.clients.kubeconfig import Access
from sre_platform.clients.kubernetes import Cluster, Missing, Refused, Throttled, Write
from sre_platform.kernel.errors import Malformed, Rejected, SreError, TooLarge, Unavailable
from tests.fakes import kubernetes as fakes
from tests.fakes.wire import Answer, Wire, serving

PODS = "/api/v1/namespaces/shop/pods"
POD = f"{PODS}/one"
PATCH = Write("PATCH", POD, [{"op": "add", "path": "/spec/x", "value": 1}])


@pytest.fixture
def fake():
    with fakes.serving_kubernetes() as it:
        it.create(POD, "Pod", {"metadata": {"labels": {"app": "a"}}, "spec": {}, "field-of-tomorrow": {"kept": True}})
        yield it


def cluster(folder, url, **user):
    return Cluster(Access(fakes.kubeconfig(folder, url, **user)))


def edited(folder, url, part, **values):
    """A kubeconfig whose only cluster or user has other values."""
    path = fakes.kubeconfig(folder, url)
    with open(path) as file:
        text = yaml.safe_load(file)
    text[f"{part}s"][0][part] |= values
    with open(path, "w") as file:
        yaml.safe_dump(text, file)
    return Cluster(Access(path))


def test_an_object_comes_as_the_server_has_it_unknown_fields_and_all(fake, tmp_path):
    found = cluster(tmp_path, fake.url).get(POD)
    assert found == fake.objects[POD]
    assert found["field-of-tomorrow"] == {"kept": True}


def test_a_list_is_what_the_selector_selects(fake, tmp_path):
    fake.create(f"{PODS}/two", "Pod", {"metadata": {"labels": {"app": "b"}}})
    names = [item["metadata"]["name"] for item in cluster(tmp_path, fake.url).items(PODS, "app in (b,c)")]
    assert names == ["two"]


def test_a_list_that_goes_on_is_too_large_instead_of_half(fake, tmp_path, monkeypatch):
    fake.create(f"{PODS}/two", "Pod", {})
    monkeypatch.setattr(kubernetes, "MAX_ITEMS", 1)
    with pytest.raises(TooLarge, match="more than 1 objects"):
        cluster(tmp_path, fake.url).items(PODS)


def test_a_write_is_a_json_patch_and_a_dry_run_writes_nothing(fake, tmp_path):
    door = cluster(tmp_path, fake.url)
    assert door.rehearse(PATCH)["spec"] == {"x": 1}
    assert (fake.writes, fake.objects[POD]["spec"]) == ([], {})
    assert door.send(PATCH)["spec"] == {"x": 1}
    assert fake.writes == [("PATCH", POD, json.dumps(PATCH.body).encode())]


def test_refusals_are_typed_and_say_what_the_server_said(fake, tmp_path):
    door = cluster(tmp_path, fake.url)
    with pytest.raises(Missing, match=r'404 to GET .*pods "nobody" not found'):
        door.get(f"{PODS}/nobody")
    with pytest.raises(Refused, match=r"422 to PATCH .*testing value /spec/x failed") as caught:
        door.send(Write("PATCH", POD, [{"op": "test", "path": "/spec/x", "value": 2}]))
    assert caught.value.status == 422
    assert isinstance(caught.value, Rejected)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Refused), (401, Refused), (403, Refused), (404, Missing), (409, Refused), (422, Refused), (301, Refused),
     (429, Throttled), (500, Unavailable), (503, Unavailable), (504, Unavailable)],
)  # fmt: skip
def test_every_status_has_its_error_and_is_asked_for_once(tmp_path, status, kind):
    secret = b'{"message": "no: Bearer abcdefgh12345678 was given"}'
    with serving(Answer(status, secret, {"Location": "/elsewhere", "Retry-After": "0"})) as wire:
        with pytest.raises(kind, match=str(status)) as caught:
            cluster(tmp_path, wire.url).send(PATCH)
        assert len(wire.calls) == 1
    assert "abcdefgh12345678" not in str(caught.value)


def test_the_server_is_told_who_writes(tmp_path):
    with serving(Answer(200, b"{}")) as wire:
        cluster(tmp_path, wire.url).send(PATCH)
        headers = wire.calls[0].headers
    assert (headers["user-agent"], headers["content-type"]) == ("sre-platform", "application/json-patch+json")


def test_a_lost_connection_is_unavailable_and_not_tried_again(tmp_path):
    with serving(Answer(200, b"{", {"Content-Length": "100"})) as wire:
        with pytest.raises(Unavailable):
            cluster(tmp_path, wire.url).send(PATCH)
        assert len(wire.calls) == 1
    with pytest.raises(Unavailable, match="failed"):
        cluster(tmp_path, wire.url).send(PATCH)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b"", b"{" * 100_000])
def test_what_is_no_object_is_malformed(tmp_path, body):
    with serving(Answer(200, body)) as wire, pytest.raises(Malformed, match=r"not (JSON|an object)"):
        cluster(tmp_path, wire.url).get(POD)


@pytest.mark.parametrize("status", [200, 500])
def test_an_answer_is_bounded_also_when_it_is_a_refusal(tmp_path, monkeypatch, status):
    monkeypatch.setattr(kubernetes, "MAX_BYTES", 1000)
    with serving(Answer(status, b"x" * 1001)) as wire, pytest.raises(TooLarge, match="1000 bytes"):
        cluster(tmp_path, wire.url).get(POD)


def test_silence_and_dripping_end_in_time(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(kubernetes, "SILENCE_S", 0.3)
    monkeypatch.setattr(kubernetes, "DEADLINE_S", 0.6)
    fake.fail["GET"] = "hang"
    began = monotonic()
    with pytest.raises(Unavailable, match="timed out"):
        cluster(tmp_path, fake.url).get(POD)
    with serving(Answer(200, b" " * 100, drip=0.1)) as wire, pytest.raises(Unavailable, match=r"within 0\.6 s"):
        cluster(tmp_path, wire.url).get(POD)
    assert monotonic() - began < 5


def test_proxies_of_the_environment_are_not_used(fake, tmp_path, monkeypatch):
    with serving(Answer(200, b"{}")) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert cluster(tmp_path, fake.url).get(POD)["kind"] == "Pod"
        assert proxy.calls == []


def test_the_token_is_sent_as_a_bearer_and_read_anew_from_its_file(fake, tmp_path):
    (tmp_path / "token").write_text(fakes.TOKEN)
    assert cluster(tmp_path, fake.url, tokenFile="token").get(POD)["kind"] == "Pod"
    (tmp_path / "token").write_text("another")
    with pytest.raises(Rejected, match="401"):
        cluster(tmp_path, fake.url, tokenFile="token").get(POD)


def test_the_context_is_the_named_one(fake, tmp_path):
    path = fakes.kubeconfig(tmp_path, fake.url)
    assert Cluster(Access(path, context="test")).get(POD)["kind"] == "Pod"
    with pytest.raises(Malformed, match="has no context 'other'"):
        Cluster(Access(path, context="other")).get(POD)


def test_the_environment_names_the_kubeconfig(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_KUBECONFIG", fakes.kubeconfig(tmp_path, fake.url))
    assert Cluster(Access(kubeconfig_env="SHOP_KUBECONFIG")).get(POD)["kind"] == "Pod"
    monkeypatch.delenv("SHOP_KUBECONFIG")
    with pytest.raises(Rejected, match="SHOP_KUBECONFIG names no kubeconfig"):
        Cluster(Access(kubeconfig_env="SHOP_KUBECONFIG")).get(POD)


def test_outside_of_a_pod_there_is_no_pods_account(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Malformed, match="Service host/port is not set"):
        Cluster(Access(in_cluster=True)).get(POD)


@pytest.mark.parametrize(
    ("part", "values", "why"),
    [
        ("cluster", {"insecure-skip-tls-verify": True}, "unverified"),
        ("cluster", {"proxy-url": "http://127.0.0.1:1"}, "proxy-url"),
        ("cluster", {"server": "http://10.0.0.1:6443"}, "not spoken to by https"),
        ("cluster", {"server": "https://user:word@127.0.0.1:1"}, "must not carry"),
        ("cluster", {"server": "https://169.254.169.254"}, "link-local"),
        ("cluster", {"server": "file:///etc/passwd"}, "https"),
        ("user", {"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ("user", {"exec": {"command": "./plugin"}}, "does not allow"),
        ("user", {"exec": {}}, "does not allow"),
        ("user", {"as": "system:admin"}, "impersonates"),
    ],
)
def test_a_kubeconfig_that_wants_too_much_is_refused(fake, tmp_path, part, values, why):
    (tmp_path / "plugin").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "plugin").chmod(stat.S_IRWXU)
    with pytest.raises(Rejected, match=why):
        edited(tmp_path, fake.url, part, **values).get(POD)
    assert not (tmp_path / "ran").exists()
    assert fake.requests == []


def plugin(folder, says, code=0):
    script = folder / "plugin"
    script.write_text(
        f"#!{sys.executable}\nimport os, sys\nprint({says!r} % os.environ.get('GIVEN', ''))\nsys.exit({code})"
    )
    script.chmod(stat.S_IRWXU)
    return {"command": "./plugin", "args": ["get"], "env": [{"name": "GIVEN", "value": fakes.TOKEN}]}


@pytest.mark.parametrize(
    ("says", "code", "error"),
    [
        ('{"status": {"token": "%s"}}', 0, ""),
        ('{"status": {"token": "%s"}}', 3, "failed"),
        ("no JSON, but %s", 0, "gave no ExecCredential"),
        ('{"status": ["%s"]}', 0, "gave no ExecCredential"),
        ('{"status": {"other": "%s"}}', 0, "neither a token nor a certificate"),
    ],
)
def test_an_allowed_credential_plugin_is_run_and_its_token_is_never_said(fake, tmp_path, says, code, error):
    path = fakes.kubeconfig(tmp_path, fake.url, exec=plugin(tmp_path, says, code))
    door = Cluster(Access(path, allow_exec=True))
    if not error:
        assert door.get(POD)["kind"] == "Pod"
        return
    with pytest.raises(SreError, match=error) as caught:
        door.get(POD)
    assert fakes.TOKEN not in str(caught.value)


def test_a_plugin_that_does_not_end_is_ended(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(kubeconfig, "PLUGIN_S", 0.3)
    path = fakes.kubeconfig(tmp_path, fake.url, exec={"command": shutil.which("sleep"), "args": ["30"]})
    with pytest.raises(Unavailable, match="did not finish in time"):
        Cluster(Access(path, allow_exec=True)).get(POD)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "a: !!python/object:os.system {}", "contexts: 7", "\x00", "a: &a [*a]"]
)
def test_what_is_no_kubeconfig_is_malformed(tmp_path, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(Malformed, match="kubeconfig"):
        Cluster(Access(str(path))).get(POD)


def test_a_cluster_without_a_server_is_not_taken_for_this_machine(fake, tmp_path):
    with pytest.raises(Malformed, match="names no server"):
        edited(tmp_path, fake.url, "cluster", server="").get(POD)


def test_a_kubeconfig_that_is_missing_or_too_large_says_so(tmp_path, monkeypatch):
    with pytest.raises(Unavailable, match="cannot be read: No such file"):
        Cluster(Access(str(tmp_path / "none"))).get(POD)
    path = fakes.kubeconfig(tmp_path, "http://127.0.0.1:1")
    monkeypatch.setattr(kubeconfig, "MAX_BYTES", 10)
    with pytest.raises(Malformed, match="larger than 10 bytes"):
        Cluster(Access(path)).get(POD)


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_keys = st.sampled_from(["server", "certificate-authority-data", "certificate-authority", "tls-server-name", "token",
                         "tokenFile", "client-certificate-data", "client-key-data", "exec"])  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(cluster_=st.dictionaries(_keys, _anything, max_size=4), user=st.dictionaries(_keys, _anything, max_size=4))
def test_any_kubeconfig_gives_a_configuration_or_one_clear_error(tmp_path_factory, cluster_, user):
    path = tmp_path_factory.mktemp("any") / "kubeconfig"
    contexts = [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
    text = {"current-context": "c", "contexts": contexts, "clusters": [{"name": "c", "cluster": cluster_}]}
    path.write_text(yaml.safe_dump(text | {"users": [{"name": "u", "user": user}]}))
    try:
        made = kubeconfig.configuration(Access(str(path)))
    except SreError as error:
        assert str(error)
    else:
        assert made.verify_ssl
        assert made.proxy is None


def certificate(folder):
    """A key and a certificate for 127.0.0.1, signed by itself."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    key, cert = folder / "key.pem", folder / "cert.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    return key, cert


def test_only_a_certificate_of_the_named_authority_is_trusted(tmp_path):
    key, cert = certificate(tmp_path)
    fake = fakes.FakeKubernetes()
    fake.create(POD, "Pod", {})
    wire = Wire(fake.answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    wire._server.socket = context.wrap_socket(wire._server.socket, server_side=True)
    url = f"https://{wire.address}"
    with wire.running():
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            cluster(tmp_path, url).get(POD)
        assert fake.requests == []
        trusted = edited(tmp_path, url, "cluster", **{"certificate-authority": "cert.pem"})
        assert trusted.get(POD)["kind"] == "Pod"


def test_without_the_client_it_is_said_in_one_sentence_and_nothing_else_needs_it(fake, tmp_path):
    path = fakes.kubeconfig(tmp_path, fake.url)
    program = f"""
import sys
sys.modules["kubernetes"] = None
import django
django.setup()
from sre_platform.catalog.domain import Target
from sre_platform.kernel.errors import Rejected
from sre_platform.remediation.steps import ACTIONS
print(len([name for name in ACTIONS.names() if name.startswith("k8s_")]))
target = Target("payments", handles={{"kubernetes": {{"kubeconfig": {path!r}, "name": "payments"}}}})
try:
    ACTIONS.get("k8s_scale").prepare(target, ACTIONS.get("k8s_scale").Params(factor=2), None)
except Rejected as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "7",
        "The Kubernetes client is not installed here, so nothing on Kubernetes can be done. "
        "Install requirements-kubernetes.txt.",
    ]
    assert fake.requests == []
