"""The whole platform and its lab on one machine, under one supervisor: prepare, start, wait until ready, stop.

Everything that it writes lies in one folder. Crash rule: if the process that called ``start`` dies in whatever way, the
kernel tells supervisord (Linux), which stops all it started; what is left anyway is found by its pid file and named.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from sre_platform.clients import http
from sre_platform.clients.supervisor import Supervisor
from sre_platform.detection import export
from sre_platform.detection.domain import AlertRule
from sre_platform.embedded import envoy, parts
from sre_platform.embedded.lab_build import LOGS
from sre_platform.embedded.supervision import Program, configuration
from sre_platform.kernel.envfile import env_lines, read_env_file, write_private
from sre_platform.kernel.errors import SreError, Unavailable
from sre_platform.kernel.orphans import signalled_with_parent

USUAL_PORTS = {
    "WEB": 8000, "SUPERVISOR": 9001, "BROKER": 6390, "PROMETHEUS": 9090, "ALERTMANAGER": 9093,
    "STOREFRONT": 8081, "ORDERS": 8082, "PAYMENTS": 8083, "PAYMENTS_CANARY": 8084, "USERS": 8089,
    "STOREFRONT_FAULTS": 8181, "ORDERS_FAULTS": 8182, "PAYMENTS_FAULTS": 8183, "PAYMENTS_CANARY_FAULTS": 8184,
    "STOREFRONT_ADMIN": 8281, "ORDERS_ADMIN": 8282, "PAYMENTS_ADMIN": 8283, "PAYMENTS_CANARY_ADMIN": 8284,
    "PAYMENTS_ROUTE": 8085, "ENVOY_ADMIN": 9901,
}  # fmt: skip
SECRETS = (
    "SRE_SECRET_KEY",
    "SRE_INTAKE_TOKEN",
    "SRE_LAB_FAULTS_TOKEN",
    "SRE_LAB_ADMIN_TOKEN",
    "SRE_SUPERVISOR_PASSWORD",
)
USERS_RATE = 40  # requests per second, enough to see a fault within seconds and to leave two cores at rest
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 30.0
LOG_VOLUME_MIB = 32  # budget of a folder with logs of requests; the alert DiskFilling of the lab's catalog knows it
LOOK_BACK = "10s"  # of Prometheus, which would take what it saw up to five minutes before a restart for the present
LOG_VOLUME = ("-log-volume", str(LOG_VOLUME_MIB))
COPIES = ("storefront", "orders", "payments", "payments-canary")  # the processes that serve requests
JOBS = ("users", *COPIES)
HOME = Path(__file__).resolve().parents[2]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """Where the parts of one embedded installation are. ``alerting`` is ``prometheus`` or ``embedded``."""

    data: Path
    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    alerting: str
    redis_url: str

    @classmethod
    def plan(cls, data: Path, alerting: str) -> "Stack":
        """Choose ports and secrets; secrets of an earlier start are kept, so that sessions and tokens stay valid."""
        if pid := running_supervisor(data):
            raise SreError(f"It is running already, as process {pid}.", advice="Stop it with `make stop`.")
        known = read_env_file(data / "run" / "env")
        kept = {name: known.get(name) or secrets.token_urlsafe(32) for name in SECRETS}
        ports = parts.free_ports(USUAL_PORTS)
        if alerting == "auto":
            alerting = "prometheus" if parts.prometheus() else "embedded"
        url = os.environ.get("REDIS_URL") or f"redis://127.0.0.1:{ports['BROKER']}/0"
        return cls(data, ports, kept, alerting, url)

    @classmethod
    def load(cls, data: Path) -> "Stack":
        """The installation that ``save`` left in ``data``."""
        plan = json.loads((data / "run" / "stack.json").read_text())
        env = read_env_file(data / "run" / "env")
        return cls(data, plan["ports"], {name: env[name] for name in SECRETS}, plan["alerting"], plan["redis_url"])

    def save(self) -> None:
        """Leave the plan, and the settings for the processes of this installation and for later commands."""
        run = self.data / "run"
        shutil.rmtree(run / "metrics", ignore_errors=True)  # the counts of processes that are gone
        for folder in (run, self.data / "log"):
            folder.mkdir(parents=True, exist_ok=True)
        plan = {"ports": dict(self.ports), "alerting": self.alerting, "redis_url": self.redis_url}
        (run / "stack.json").write_text(json.dumps(plan))
        write_private(run / "env", env_lines(self.environment()))
        write_private(run / "intake.token", self.secrets["SRE_INTAKE_TOKEN"])

    def address(self, part: str) -> str:
        """Host and port of a part, such as ``WEB``, ``ORDERS`` or ``payments-canary``."""
        return f"127.0.0.1:{self.ports[part.upper().replace('-', '_')]}"

    def url(self, part: str) -> str:
        """The address of a part as a URL."""
        return f"http://{self.address(part)}"

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.environment()["SRE_SUPERVISOR_URL"])

    def environment(self) -> dict[str, str]:
        """The settings of this installation; also what later commands read from ``run/env``."""
        parts_of_lab = [name.upper().replace("-", "_") for name in COPIES]
        lab = {
            "SRE_LAB_DIR": str(self.data / "lab"),
            "SRE_LAB_LOG_DIR": str(self.data / "log"),
            "SRE_LAB_FAULTS": ",".join(f"{name}={self.url(name + '_FAULTS')}" for name in COPIES),
            **{f"SRE_LAB_{part}_URL": self.url(part) for part in ("USERS", *parts_of_lab)},
            "SRE_LAB_ENVOY_ADMIN_URL": self.url("ENVOY_ADMIN") if envoy.executable() else "",
            **{f"SRE_LAB_{part}_ADMIN_URL": self.url(part + "_ADMIN") for part in parts_of_lab},
        }
        password = self.secrets["SRE_SUPERVISOR_PASSWORD"]
        return (
            lab
            | dict(self.secrets)
            | {
                "SRE_DATA": str(self.data),
                "SRE_BASE_URL": self.url("WEB"),
                "SRE_REDIS_URL": self.redis_url,
                "SRE_PROMETHEUS_URL": self.url("PROMETHEUS") if self.alerting == "prometheus" else "",
                "SRE_ALERTMANAGER_URL": self.url("ALERTMANAGER") if self.alerting == "prometheus" else "",
                "SRE_SUPERVISOR_URL": f"http://sre:{password}@127.0.0.1:{self.ports['SUPERVISOR']}",
            }
        )

    def start(self, rules: Sequence[AlertRule]) -> "Running":
        """Start everything. The plan must have been saved and the database migrated."""
        programs = self.programs(rules)
        run, log, port = self.data / "run", self.data / "log", self.ports["SUPERVISOR"]
        conf = run / "supervisord.conf"
        write_private(conf, configuration(programs, run, log, HOME, port, self.secrets["SRE_SUPERVISOR_PASSWORD"]))
        process = subprocess.Popen(  # noqa: S603 our own configuration, no shell
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(conf)],
            stdout=subprocess.DEVNULL,
            stderr=(log / "supervisord.err").open("wb"),
            start_new_session=True,
            preexec_fn=signalled_with_parent(signal.SIGTERM),  # noqa: PLW1509 nothing in it but one system call
        )
        return Running(self, process, programs)

    def programs(self, rules: Sequence[AlertRule]) -> list[Program]:
        """Everything that is to run, with its configuration written."""
        return [*self._platform(), *self._lab(), *self._alerting(rules)]

    def _platform(self) -> list[Program]:
        own_broker = not os.environ.get("REDIS_URL")
        broker = [Program("broker", parts.broker_command(self.ports["BROKER"]), 1)] if own_broker else []
        web = ["sre_platform.asgi:application", "--host", "127.0.0.1", "--port", str(self.ports["WEB"])]
        uvicorn = [sys.executable, "-m", "uvicorn", *web, "--log-level", "warning", "--timeout-graceful-shutdown", "2"]
        celery = [sys.executable, "-m", "celery", "-A", "sre_platform"]
        worker = [
            *celery,
            "worker",
            "--concurrency",
            "3",
            "--loglevel",
            "WARNING",
            "--without-gossip",
            "--without-mingle",
        ]
        beat = [*celery, "beat", "--loglevel", "WARNING", "--pidfile="]
        auditor = [sys.executable, str(HOME / "manage.py"), "auditor"]
        named = {"web": uvicorn, "worker": worker, "beat": beat, "auditor": auditor}
        return [*broker, *(Program(name, command, 20) for name, command in named.items())]

    def _lab(self) -> list[Program]:
        lab = self.data / "lab"
        redis = self.redis_url.removeprefix("redis://").partition("/")[0]
        path = envoy.executable()
        router = [envoy.program(path, self.data / "envoy", self.ports)] if path else []
        flags = {
            **{name: ["-log-file", str(lab / folder / "requests.log"), *LOG_VOLUME] for name, folder in LOGS.items()},
            "orders": ["-payments", self.url("PAYMENTS_ROUTE" if router else "PAYMENTS"), "-redis", redis],
            "storefront": ["-orders", self.url("ORDERS")],
        }
        users = [str(lab / "users" / "loadgen"), "-target", self.url("STOREFRONT"), "-rate", str(USERS_RATE)]
        return [
            *router,
            *(self._service(name, more) for name, more in flags.items()),
            Program("users", [*users, "-listen", self.address("USERS")], 15, stop_s=3),
        ]

    def _service(self, name: str, flags: Sequence[str]) -> Program:
        """A copy of a service. The canary waits until somebody starts it."""
        service, _, canary = name.partition("-")
        binary = self.data / "lab" / service / (canary or "current") / service
        ports = {"-listen": name, "-faults": f"{name}_FAULTS", "-admin": f"{name}_ADMIN"}
        addresses = [word for flag, part in ports.items() for word in (flag, self.address(part))]
        return Program(
            name,
            [str(binary), *addresses, *flags],
            priority=10,
            environment={f"LAB_{kind}_TOKEN": self.secrets[f"SRE_LAB_{kind}_TOKEN"] for kind in ("FAULTS", "ADMIN")},
            restart="false",
            autostart=not canary,
            stop_s=3,
        )

    def _alerting(self, rules: Sequence[AlertRule]) -> list[Program]:
        hook = f"{self.url('WEB')}/hooks/alertmanager"
        found = parts.prometheus()
        if self.alerting == "prometheus" and found:
            return self._prometheus(*found, hook, rules)
        targets = [word for job in JOBS for word in ("--target", f"{job}={self.url(job)}/metrics")]
        command = [sys.executable, str(HOME / "manage.py"), "evaluator", *targets, "--webhook", hook]
        return [Program("evaluator", command, 20)]

    def _prometheus(self, server: str, manager: str, hook: str, rules: Sequence[AlertRule]) -> list[Program]:
        """The real Prometheus and Alertmanager, with rule files rendered from the platform's own rules."""
        folder = self.data / "prometheus"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        targets = {job: self.address(job) for job in JOBS}
        token = {"sre-platform": (self.address("WEB"), str(self.data / "run" / "metrics.token"))}
        config = {
            "rules.yml": export.rule_file(rules),
            "prometheus.yml": export.prometheus_config(
                targets, str(folder / "rules.yml"), self.address("ALERTMANAGER"), with_token=token
            ),
            "alertmanager.yml": export.alertmanager_config(hook, str(self.data / "run" / "intake.token")),
        }
        for name, text in config.items():
            (folder / name).write_text(text)
        scraping = [
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
            "--storage.tsdb.retention.time=1d",
            f"--query.lookback-delta={LOOK_BACK}",
            f"--web.listen-address={self.address('PROMETHEUS')}",
            "--log.level=warn",
        ]
        telling = [
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/alertmanager",
            "--cluster.listen-address=",
            f"--web.listen-address={self.address('ALERTMANAGER')}",
            "--log.level=warn",
        ]
        return [Program("prometheus", [server, *scraping], 12), Program("alertmanager", [manager, *telling], 12)]


@dataclass(frozen=True)
class Running:
    """A started stack."""

    stack: Stack
    process: subprocess.Popen[bytes]
    programs: Sequence[Program]

    def wait_until_ready(self, workers: Callable[[], int], say: Say) -> None:
        """Wait until all that start by themselves run, the web answers and a worker listens. Raises SreError."""
        deadline = monotonic() + READY_WITHIN_S
        checks: list[tuple[str, Callable[[], bool]]] = [
            ("the supervisor", lambda: len(self.stack.supervisor.processes()) == len(self.programs)),
            *((program.name, self._runs(program.name)) for program in self.programs if program.autostart),
            ("the web pages", lambda: http.request("GET", f"{self.stack.url('WEB')}/hooks/alertmanager").status == 200),
            ("a worker", lambda: workers() > 0),
        ]
        for name, check in checks:
            say(f"waiting for {name}")
            while not _true(check):
                if self.process.poll() is not None:
                    raise SreError("supervisord ended.", advice=f"See {self.stack.data / 'log' / 'supervisord.log'}.")
                if monotonic() > deadline:
                    raise SreError(
                        f"{name} is not ready after {READY_WITHIN_S:.0f} s.", advice=f"See {self.stack.data / 'log'}."
                    )
                sleep(0.1)

    def _runs(self, name: str) -> Callable[[], bool]:
        return lambda: self.stack.supervisor.process(name).running

    def stop(self) -> None:
        """Stop everything that was started, and nothing else."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def running_supervisor(data: Path) -> int:
    """The pid of the supervisord that runs on this folder, 0 when none does."""
    try:
        pid = int((data / "run" / "supervisord.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes() if sys.platform == "linux" else b"supervisord"
        os.kill(pid, 0)
    except (OSError, ValueError):
        return 0
    return pid if b"supervisord" in command else 0


def stop_running(data: Path) -> bool:
    """Stop the installation that runs on this folder; False when none does."""
    pid = running_supervisor(data)
    if not pid:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = monotonic() + STOPPED_WITHIN_S
    while running_supervisor(data) and monotonic() < deadline:
        sleep(0.1)
    if running_supervisor(data):
        raise Unavailable(f"Process {pid} has not stopped within {STOPPED_WITHIN_S:.0f} s.")
    return True


def _true(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except SreError:
        return False
