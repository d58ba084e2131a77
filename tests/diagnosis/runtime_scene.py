"""Evidence about a Go process and its host, as the rules of these families are given it, from a few numbers each."""

from pathlib import Path
from typing import Any

from sre_platform.diagnosis.domain import Evidence, Finding
from sre_platform.diagnosis.investigate import RULES
from tests.diagnosis.scene import OPENED

RECORDINGS = Path(__file__).parents[1] / "recordings" / "runtime"


def recorded(name: str) -> str:
    return (RECORDINGS / f"{name}.txt").read_text()


def profile(name: str) -> bytes:
    return (RECORDINGS / f"{name}.pb.gz").read_bytes()


def judge(rule: str, *evidence: Evidence) -> Finding | None:
    return RULES.get(rule).judge("payments", {item.collector: item for item in evidence})


def trace(gctrace: str | None = None, schedtrace: str | None = None) -> Evidence:
    texts = {name: text for name, text in (("gctrace", gctrace), ("schedtrace", schedtrace)) if text is not None}
    return Evidence("go_trace", "payments", OPENED, {"seconds": 5}, texts)


def profiles(**documents: bytes) -> Evidence:
    by_name = {name.replace("_earlier", ".earlier"): document for name, document in documents.items()}
    return Evidence("go_profiles", "payments", OPENED, {"seconds_apart": 1}, profiles=by_name)


def metrics(now: str, earlier: str | None = None, seconds_apart: float | None = 2) -> Evidence:
    texts = {"metrics": now} | ({} if earlier is None else {"earlier": earlier})
    return Evidence("go_runtime", "payments", OPENED, {"seconds_apart": seconds_apart}, texts)


def host(cpus: int | None = None, seconds_apart: float | None = 2, **texts: str) -> Evidence:
    """Texts by the last part of their name; ``a__b`` stands for ``a/b``, ``earlier_`` before it for the look before."""
    named = {}
    for name, text in texts.items():
        begin = "earlier/" if name.startswith("earlier_") else ""
        named[begin + name.removeprefix("earlier_").replace("__", "/").replace("_dot_", ".")] = text
    data: dict[str, Any] = {"seconds_apart": seconds_apart, "pid": 7, "cgroup": ""}
    return Evidence("host", "payments", OPENED, data | ({} if cpus is None else {"cpus": cpus}), named)


def perf(seconds: float = 1, **counts: float) -> Evidence:
    """Counters by their name, ``_`` for ``-``."""
    lines = [f"{count:.0f},,{name.replace('_', '-')},1000,100.00,,\n" for name, count in counts.items()]
    return Evidence("perf_stat", "payments", OPENED, {"seconds": seconds}, {"perf": "".join(lines)})


def cycle(
    number: int, at_s: float, *, pause_ms: float = 0.1, mark_ms: float = 5.0, assist_ms: float = 0.0,
    background_ms: float = 2.0, live: int = 40, goal: int = 80, end: int | None = None, procs: int = 4,
) -> str:  # fmt: skip
    """One gctrace line; sizes in MiB."""
    return (
        f"gc {number} @{at_s:.3f}s 1%: {pause_ms / 2:.3f}+{mark_ms:.3f}+{pause_ms / 2:.3f} ms clock,"
        f" 0+{assist_ms:.3f}/{background_ms:.3f}/0+0 ms cpu, {goal}->{goal if end is None else end}->{live} MB,"
        f" {goal} MB goal, 0 MB stacks, 0 MB globals, {procs} P\n"
    )


def cycles(count: int = 20, every_s: float = 1.0, **fields: Any) -> str:
    return "".join(cycle(number, number * every_s, **fields) for number in range(1, count + 1))


def sample(
    at_ms: int, *, procs: int = 4, idle: int = 0, threads: int = 8, parked: int = 3, queued: int = 0,
    ticks: int | None = None,
) -> str:  # fmt: skip
    """One SCHED line; ``ticks`` of each P."""
    queues = " ".join(["0"] * procs)
    ticked = "" if ticks is None else f" schedticks=[ {' '.join([str(ticks)] * procs)} ]"
    return (
        f"SCHED {at_ms}ms: gomaxprocs={procs} idleprocs={idle} threads={threads} spinningthreads=0 needspinning=0"
        f" idlethreads={parked} runqueue={queued} [ {queues} ]{ticked}\n"
    )


def samples(count: int = 5, **fields: Any) -> str:
    return "".join(sample(at * 100, **fields) for at in range(count + 1))


def histogram(name: str, *counts: tuple[str, float]) -> str:
    """Cumulative counts by the end of their bucket."""
    return "".join(f'{name}_bucket{{le="{end}"}} {count}\n' for end, count in counts)


def latencies(fast: int, slow: int) -> str:
    """Waits for a P: below 1 ms, and between 10 and 100 ms. The bounds are those of Go's client."""
    ends = (("0.0009175039999999999", fast), ("0.010485759999999998", fast), ("0.11744051199999998", fast + slow))
    return histogram("go_sched_latencies_seconds", *ends, ("+Inf", fast + slow))


def status(
    threads: int = 8, voluntary: int = 0, involuntary: int = 0, cpus: str = "0-3", nodes: str = "0", huge: int = 1
) -> str:
    return (
        f"Name:\tapp\nState:\tS (sleeping)\nTHP_enabled:\t{huge}\nThreads:\t{threads}\nCpus_allowed_list:\t{cpus}\n"
        f"Mems_allowed_list:\t{nodes}\nvoluntary_ctxt_switches:\t{voluntary}\n"
        f"nonvoluntary_ctxt_switches:\t{involuntary}\n"
    )


def cpu_stat(periods: int, throttled: int, throttled_us: int = 0) -> str:
    return f"usage_usec 1\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {throttled_us}\n"


def pressure(some_us: int = 0, full_us: int = 0, some10: float = 0, full10: float = 0) -> str:
    return "".join(
        f"{kind} avg10={avg:.2f} avg60=0.00 avg300=0.00 total={total}\n"
        for kind, avg, total in (("some", some10, some_us), ("full", full10, full_us))
    )
