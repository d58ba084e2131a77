"""How a Kubernetes API server is reached: one context of the operator's kubeconfig, or the pod that this runs in.

The official client reads certificates and tokens; what it would take from elsewhere is refused here: proxies, servers
without TLS, unverified certificates, and credential plugins, which are programs, unless they are allowed.
Source: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from sre_platform.clients import command
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable

if TYPE_CHECKING:
    from kubernetes.client import Configuration

MAX_BYTES = 1024 * 1024  # of a kubeconfig: certificates of a handful of clusters are a few 10 KB
PLUGIN_S = 20.0  # for a credential plugin; the cloud vendors' ones answer within 1-3 s when not cached
PLUGIN_BYTES = 256 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "::1")  # the only peers that are spoken to without TLS, as by `kubectl proxy`
OF_CLUSTER = ("server", "certificate-authority", "certificate-authority-data", "tls-server-name")
OF_USER = ("token", "tokenFile", "client-certificate", "client-certificate-data", "client-key", "client-key-data",
           "username", "password")  # fmt: skip
MISSING = "The Kubernetes client is not installed here, so nothing on Kubernetes can be done."
ADVICE = "Install requirements-kubernetes.txt."


@dataclass(frozen=True)
class Access:
    """Where the credentials are: a kubeconfig's path, or an environment variable that holds it, or the own pod's.

    ``context`` is empty for the kubeconfig's current one. ``allow_exec`` lets the kubeconfig's credential plugin run.
    """

    kubeconfig: str = ""
    kubeconfig_env: str = ""
    in_cluster: bool = False
    context: str = ""
    allow_exec: bool = False


def configuration(access: Access) -> "Configuration":
    """The official client's configuration, read anew so that rotated tokens count.

    Raises Rejected (not installed, or something that is refused), Malformed (not a kubeconfig) and Unavailable.
    """
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise Rejected(MISSING, advice=ADVICE) from error
    made = client.Configuration()
    made.proxy = None  # it has taken the environment's
    try:
        if access.in_cluster:
            config.load_incluster_config(client_configuration=made)
        else:
            path = _path(access)
            loaded = _chosen(_read(path), access, path)
            config.kube_config.KubeConfigLoader(loaded, config_base_path=str(path.parent)).load_and_set(made)
    except (config.ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        raise Malformed(f"The credentials for Kubernetes cannot be read: {_first_line(error)}.") from error
    _check_server(made.host)
    return made


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:200].rstrip(".") if lines else type(error).__name__


def _path(access: Access) -> Path:
    named = access.kubeconfig or os.environ.get(access.kubeconfig_env, "")
    if not named:
        raise Rejected(f"The environment variable {access.kubeconfig_env} names no kubeconfig.")
    return Path(named).expanduser()


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unavailable(f"The kubeconfig {path} cannot be read: {error.strerror}.") from error
    if len(text) > MAX_BYTES:
        raise Malformed(f"The kubeconfig {path} is larger than {MAX_BYTES} bytes.")
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The kubeconfig {path} is not YAML.") from error
    if not isinstance(found, dict):
        raise Malformed(f"The kubeconfig {path} is not a mapping.")
    return found


def _chosen(found: Mapping[str, Any], access: Access, path: Path) -> dict[str, Any]:
    """A kubeconfig that holds nothing but the chosen context, its cluster and its user."""
    name = access.context or str(found.get("current-context") or "")
    context = _named(found, "contexts", "context", name, path)
    cluster = _named(found, "clusters", "cluster", str(context.get("cluster") or ""), path)
    user = _named(found, "users", "user", str(context.get("user") or ""), path)
    _refuse(cluster, user, path)
    if "exec" in user:
        user = _by_plugin(user["exec"], access, path)
    cluster, user = _texts(cluster, OF_CLUSTER, path), _texts(user, OF_USER, path)
    if "server" not in cluster:
        raise Malformed(f"The kubeconfig {path} names no server.")
    return {
        "current-context": "chosen",
        "contexts": [{"name": "chosen", "context": {"cluster": "chosen", "user": "chosen"}}],
        "clusters": [{"name": "chosen", "cluster": cluster}],
        "users": [{"name": "chosen", "user": user}],
    }


def _refuse(cluster: Mapping[str, Any], user: Mapping[str, Any], path: Path) -> None:
    if cluster.get("insecure-skip-tls-verify"):
        raise Rejected(f"The kubeconfig {path} wants the server's certificate unverified, which is refused.")
    if cluster.get("proxy-url"):
        raise Rejected(f"The kubeconfig {path} names a proxy-url, which is not supported.")
    if "auth-provider" in user:
        raise Rejected(f"The kubeconfig {path} uses an auth-provider, which Kubernetes has removed in 1.26.")
    if any(key == "as" or key.startswith("as-") for key in map(str, user)):
        raise Rejected(f"The kubeconfig {path} impersonates somebody, which the official client does not do.")


def _texts(found: Mapping[str, Any], known: tuple[str, ...], path: Path) -> dict[str, Any]:
    """Nothing but the known fields, which all are texts. The official client takes them as they are."""
    kept = {key: found[key] for key in known if found.get(key) not in (None, "")}
    if wrong := [key for key, value in kept.items() if not isinstance(value, str) or "\0" in value]:
        raise Malformed(f"The kubeconfig {path} has a {wrong[0]} that is not a text.")
    return kept


def _named(found: Mapping[str, Any], many: str, one: str, name: str, path: Path) -> dict[str, Any]:
    entries = found.get(many)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(one), dict):
            return dict(entry[one])
    raise Malformed(f"The kubeconfig {path} has no {one} {name!r}.")


def _by_plugin(plugin: Any, access: Access, path: Path) -> dict[str, Any]:
    """The user as the credential plugin names it: a token, or a client certificate with its key."""
    if not access.allow_exec:
        raise Rejected(
            f"The kubeconfig {path} runs a program for its credentials, which the catalog's handle does not allow.",
            advice="Use a service account's token, or set allow_exec.",
        )
    if not isinstance(plugin, dict) or not isinstance(plugin.get("command"), str):
        raise Malformed(f"The kubeconfig {path} names no command for its credentials.")
    status = _asked(plugin, path)
    if token := status.get("token"):
        return {"token": str(token)}
    if status.get("clientCertificateData") and status.get("clientKeyData"):
        pair = (_kept(status["clientCertificateData"]), _kept(status["clientKeyData"]))
        return {"client-certificate-data": pair[0], "client-key-data": pair[1]}
    raise Malformed(f"The credential plugin {plugin['command']} gave neither a token nor a certificate.")


def _kept(pem: Any) -> str:
    """PEM text as a kubeconfig holds it."""
    return base64.b64encode(str(pem).encode()).decode()


def _asked(plugin: Mapping[str, Any], path: Path) -> dict[str, Any]:
    name = str(plugin["command"])
    if "/" in name and not Path(name).is_absolute():
        name = str(path.parent / name)
    version = str(plugin.get("apiVersion") or "client.authentication.k8s.io/v1")
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    env = {"KUBERNETES_EXEC_INFO": json.dumps(info), "HOME": os.environ.get("HOME", "")}
    env |= {str(item["name"]): str(item["value"]) for item in plugin.get("env") or ()}
    argv = [name, *map(str, plugin.get("args") or ())]
    output = command.run(argv, deadline_s=PLUGIN_S, max_bytes=PLUGIN_BYTES, env=env)
    if output.code:
        raise Unavailable(f"The credential plugin {name} failed: {output.complaint}.")
    try:
        status = json.loads(output.stdout)["status"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Malformed(f"The credential plugin {name} gave no ExecCredential.") from error
    if not isinstance(status, dict):
        raise Malformed(f"The credential plugin {name} gave no ExecCredential.")
    return status


def _check_server(host: str) -> None:
    try:
        parts = urlsplit(host)
        name = parts.hostname or ""
    except ValueError as error:
        raise Malformed("The kubeconfig's server is not a URL.") from error
    if parts.username or parts.password:
        raise Rejected("The kubeconfig's server must not carry a user or password.")
    if parts.scheme != "https" and name not in LOOPBACK:
        raise Rejected(f"The Kubernetes server {name} is not spoken to by https, so no token is sent to it.")
