import json
import re
from argparse import RawDescriptionHelpFormatter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sre_platform.intake import tokens
from sre_platform.intake.models import IntakeToken
from sre_platform.intake.reading import read_json_object
from sre_platform.intake.signatures import DEFAULT_HEADER
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Malformed, SreError

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=3650)


class Command(BaseCommand):
    help = """Make the bearer token with which a sender (Alertmanager, a pipeline) may call the webhooks, and print it.

  manage.py intake_token alertmanager                     one that may send to every source
  manage.py intake_token deploys --source changes         one for deploy pipelines only
  manage.py intake_token zabbix --source generic --mapping zabbix.json
  manage.py intake_token alertmanager --rotate            a second one: the first stays valid until the third is made
  manage.py intake_token alertmanager --revoke            end all of its tokens
  manage.py intake_token --list

It is shown once and kept as a hash; making it again under the same name replaces
all of that name, and their terms."""

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help="who will send with it, such as alertmanager-prod")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--rotate", action="store_true", help="keep the newest token valid besides the new one")
        what.add_argument("--revoke", action="store_true", help="end all tokens of this name")
        what.add_argument("--list", action="store_true", help="print the tokens, of all names without one")
        parser.add_argument("--source", help="a source's name, changes, or * for any (default)")
        parser.add_argument("--scope", choices=IntakeToken.Scope.values, help="metrics: may read /metrics only")
        parser.add_argument(
            "--mapping", type=Path, metavar="FILE", help="JSON: how the source generic reads its bodies"
        )
        parser.add_argument("--hmac", metavar="REF", help="bodies are signed; env:NAME or file:/path of the secret")
        parser.add_argument("--hmac-header", metavar="NAME", help=f"where the signature is (default: {DEFAULT_HEADER})")
        parser.add_argument("--expires-in", metavar="30d", help="minutes, hours, days or weeks: 90m, 12h, 30d, 4w")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, name: str | None, **options: Any) -> None:
        if not name and not options["list"]:
            raise CommandError("Give the name of the sender, or --list.")
        try:
            self._print(self._do(name or "", options), options["json"])
        except (SreError, OSError) as error:
            raise CommandError(str(error)) from error

    def _do(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        if options["list"]:
            rows = IntakeToken.objects.order_by("name", "pk")
            return {"tokens": [_shown(row) for row in (rows.filter(name=name) if name else rows)]}
        if options["revoke"]:
            return {"name": name, "revoked": tokens.revoke(name)}
        make = tokens.rotate if options["rotate"] else tokens.issue
        token = make(name, **_terms(options))
        return _shown(IntakeToken.objects.filter(name=name).latest("pk")) | {"token": token}

    def _print(self, found: dict[str, Any], as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(found))
        elif "tokens" in found:
            for row in found["tokens"]:
                self.stdout.write("  ".join(str(row[key] or "-") for key in SHOWN))
        else:
            self.stdout.write(found.get("token") or f"{found['revoked']} of {found['name']} revoked.")


SHOWN = ("name", "state", "source", "scope", "created_at", "expires_at", "hmac")


def _shown(row: IntakeToken) -> dict[str, Any]:
    expired = row.expires_at is not None and row.expires_at <= now()
    return {
        "name": row.name,
        "state": "revoked" if row.revoked else "expired" if expired else "valid",
        "source": row.source,
        "scope": row.scope,
        "created_at": row.created_at.isoformat(timespec="seconds"),
        "expires_at": row.expires_at.isoformat(timespec="seconds") if row.expires_at else None,
        "hmac": row.hmac_secret_ref,
        "mapped": bool(row.mapping),
    }


def _terms(options: dict[str, Any]) -> dict[str, Any]:
    """The terms that were given: a new name's others are the usual ones, a rotated one's those it had."""
    terms = {
        "source": options["source"],
        "scope": options["scope"],
        "hmac_secret_ref": options["hmac"],
        "hmac_header": options["hmac_header"],
        "mapping": read_json_object(options["mapping"].read_bytes()) if options["mapping"] else None,
        "expires_at": _expiry(options["expires_in"]) if options["expires_in"] else None,
    }
    return {name: value for name, value in terms.items() if value is not None}


def _expiry(text: str) -> datetime:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text)
    after = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else LONGEST * 2
    if after > LONGEST:
        raise Malformed("--expires-in takes a number and m, h, d or w, such as 30d; ten years at most.")
    return now() + after
