"""The human view of a goroutine report: what is wrong, where, why, and what to do; reads well in 80 columns."""

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.goroutines import Bucket
from sre_platform.diagnosis.rca.code import user_site
from sre_platform.diagnosis.rca.goroutine_advice import advice_for
from sre_platform.diagnosis.rca.goroutine_report import Cause, Report
from sre_platform.diagnosis.rca.goroutine_words import against, because, confidence, would_decide

VERDICTS = {
    True: "[bold red]They leak or hang.[/]",
    False: "[bold green]No leak: nothing grew, nothing is locked up.[/]",
    None: "[bold yellow]Cannot tell from this alone.[/]",
}
SHOWN = 3
VICTIMS_SHOWN = 8


def show(console: Console, report: Report) -> None:
    """Print it, best cause first."""
    cut = ", and the dump was cut" if report.truncated else ""
    console.print(f"{report.total:,} goroutines{cut}. {VERDICTS[report.leak]}")
    if report.leak is None and not report.causes:
        console.print("Nothing looks stuck. Take a second dump some seconds later and give this one as --earlier.")
    for number, cause in enumerate(report.causes[:SHOWN], start=1):
        _cause(console, number, cause, report)
    if (more := len(report.causes) - SHOWN) > 0:
        console.print(f"\n{more} more with less evidence: --json shows all.")
    _victims(console, report)


def _cause(console: Console, number: int, cause: Cause, report: Report) -> None:
    sure = f"{confidence(cause):.0%} sure, by {cause.evidence}"
    console.print(f"\n[bold]{number}. {cause.cause}[/]  [dim]{sure}[/]")
    if cause.site:
        console.print(Text(f"   {_short(cause.site)}", style="cyan"), soft_wrap=True)
    for sentence in because(cause, report):
        _indented(console, escape(sentence))
    for sentence in against(cause):
        _indented(console, f"[yellow]but[/]  {escape(sentence)}")
    for sentence in would_decide(cause):
        _indented(console, f"[dim]look[/] {escape(sentence)}")
    for sentence in advice_for(cause.cause):
        _indented(console, f"[green]do[/]   {escape(sentence)}")


def _indented(console: Console, text: str) -> None:
    console.print(Padding(text, (0, 0, 0, 3)))


def _victims(console: Console, report: Report) -> None:
    if not report.victims:
        return
    console.print("\n[bold]Only waiting[/]  [dim]they go on once the cause is gone[/]")
    for victim in report.victims[:VICTIMS_SHOWN]:
        bucket = victim.bucket
        console.print(
            Text(f"   {bucket.count} in {bucket.state} at {_where(bucket)} (for {victim.waits_for + 1}.)"),
            soft_wrap=True,
        )


def _where(bucket: Bucket) -> str:
    site = user_site(bucket.frames)
    return str(site) if site else "library code"


def _short(site: Site) -> str:
    return f"{site.file}:{site.line}  {site.function}"
