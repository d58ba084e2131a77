import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from sre_platform.diagnosis.parsers.goroutines import Dump, parse, read
from sre_platform.diagnosis.rca.goroutine_answer import answer
from sre_platform.diagnosis.rca.goroutine_report import report
from sre_platform.engine.goroutine_view import show
from sre_platform.engine.source_tree import SourceTree
from sre_platform.kernel.errors import Malformed

LONGEST_LINE = 512 << 20  # bytes of one case of a batch, three dumps in one line of JSON


class Command(BaseCommand):
    help = """Tell why goroutines of a Go service leak or hang. Needs no database and no network.

  manage.py diagnose_goroutines --dump goroutine.txt --earlier before.txt    what has grown between the two
  manage.py diagnose_goroutines --dump g.pb.gz --leak-profile leak.txt       what the garbage collector has proved
  curl -s HOST/debug/pprof/goroutine?debug=2 | manage.py diagnose_goroutines --dump -
  manage.py diagnose_goroutines --dump FILE --source ~/src/shop              reads the blamed lines

Understood are goroutine?debug=2, SIGQUIT and panic output, debug=1, protobuf and goroutineleak, gzipped or not. A
second dump some seconds later tells a leak from an idle service; one dump alone can seldom tell, and then says so.

--batch reads JSON lines {"id", "goroutine", "earlier"|null, "leakprofile"|null} and prints a line of JSON for each.
Exit code: 0 answered, 1 a line of the batch could not be read, 2 the input could not be used."""
    requires_system_checks = ()

    def create_parser(self, *args: Any, **kwargs: Any) -> CommandParser:
        return super().create_parser(*args, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--dump", metavar="FILE", help="the goroutines; - is standard input")
        what.add_argument("--batch", action="store_true", help="JSON lines from standard input")
        parser.add_argument("--earlier", metavar="FILE", help="the same process some seconds before")
        parser.add_argument("--leak-profile", metavar="FILE", help="its /debug/pprof/goroutineleak")
        parser.add_argument("--source", type=Path, metavar="DIR", help="a checkout of the code that runs there")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_: Any, **options: Any) -> None:
        tree = _tree(options["source"])
        if options["batch"]:
            sys.exit(_batch(sys.stdin.buffer, tree))
        earlier, leaked = (_dump(options[name]) if options[name] else None for name in ("earlier", "leak_profile"))
        told = report(_dump(options["dump"]), earlier, leaked, tree.lines)
        if options["json"]:
            self.stdout.write(json.dumps(answer(options["dump"], told), ensure_ascii=False))
        else:
            show(Console(highlight=False), told)


def _tree(root: Path | None) -> SourceTree:
    if root and not root.is_dir():
        raise CommandError(f"--source {root} is no folder.", returncode=2)
    return SourceTree(root)


def _dump(name: str) -> Dump:
    try:
        if name == "-":
            return read(sys.stdin.buffer)
        with Path(name).open("rb", buffering=0) as file:
            return read(file)
    except (Malformed, OSError) as error:
        raise CommandError(f"{name}: {error}", returncode=2) from error


def _batch(lines: BinaryIO, tree: SourceTree) -> int:
    """One answer a line, as soon as it is known; a line that cannot be used gets one that says why."""
    failed = 0
    for number, line in _lines(lines):
        try:
            print(json.dumps(_case(line, tree), ensure_ascii=False), flush=True)  # noqa: T201
        except (Malformed, ValueError, RecursionError) as error:
            failed = 1
            print(json.dumps({"id": _id(line), "line": number, "error": str(error)}), flush=True)  # noqa: T201
    return failed


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    numbered: Iterable[tuple[int, bytes]] = enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), start=1)
    return ((number, line) for number, line in numbered if line.strip())


def _case(line: bytes, tree: SourceTree) -> dict[str, Any]:
    case = json.loads(line)
    if not isinstance(case, dict) or not isinstance(case.get("goroutine"), str):
        raise Malformed('A line of the batch has to be an object with a text "goroutine".')
    texts = (case.get(name) for name in ("goroutine", "earlier", "leakprofile"))
    later, earlier, leaked = (parse(text) if isinstance(text, str) and text.strip() else None for text in texts)
    if later is None:
        raise Malformed('The text "goroutine" is empty.')
    return answer(str(case.get("id", "")), report(later, earlier, leaked, tree.lines))


def _id(line: bytes) -> str | None:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return str(case["id"]) if isinstance(case, dict) and "id" in case else None
