"""The configuration of the one supervisord that runs an embedded installation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """A program to supervise. ``priority`` is the starting order; ``restart`` is supervisord's autorestart.

    One without ``autostart`` is only there to be started by somebody later.
    """

    name: str
    command: Sequence[str]
    priority: int
    environment: Mapping[str, str] = field(default_factory=dict)
    restart: str = "true"
    autostart: bool = True
    start_s: int = 1
    stop_s: int = 10


def configuration(programs: Sequence[Program], run: Path, log: Path, cwd: Path, port: int, password: str) -> str:
    """The text of supervisord.conf; its API listens on loopback, for the user ``sre``."""
    head = [
        "[supervisord]",
        f"logfile={_text(log / 'supervisord.log')}",
        f"pidfile={_text(run / 'supervisord.pid')}",
        f"childlogdir={_text(log)}",
        "nodaemon=true",
        "silent=true",
        "[inet_http_server]",
        f"port=127.0.0.1:{port}",
        "username=sre",
        f"password={_text(password)}",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    return "\n".join([*head, *(line for program in programs for line in _program(program, log, cwd))]) + "\n"


def _program(program: Program, log: Path, cwd: Path) -> list[str]:
    environment = ",".join(f'{name}="{_text(value)}"' for name, value in sorted(program.environment.items()))
    return [
        f"[program:{program.name}]",
        f"command={' '.join(_quoted(word) for word in program.command)}",
        f"directory={_text(cwd)}",
        f"environment={environment}",
        f"priority={program.priority}",
        f"autostart={str(program.autostart).lower()}",
        f"autorestart={program.restart}",
        f"startsecs={program.start_s}",
        "startretries=5",
        f"stopwaitsecs={program.stop_s}",
        "stopasgroup=false",  # a worker ends its own children in good order
        "killasgroup=true",
        "redirect_stderr=true",
        f"stdout_logfile={_text(log / (program.name + '.log'))}",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=1",
    ]


def _text(value: object) -> str:
    """supervisord expands %, so a literal one is doubled."""
    return str(value).replace("%", "%%")


def _quoted(word: str) -> str:
    quoted = '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _text(quoted)
