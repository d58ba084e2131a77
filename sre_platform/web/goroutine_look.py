"""What the stored texts of one look at a service's goroutines say: the dumps, read once, and what is to blame. Pure."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from sre_platform.diagnosis.parsers.goroutines import Bucket, Dump, parse
from sre_platform.diagnosis.rca.goroutine_growth import Suspect, suspects
from sre_platform.diagnosis.rca.goroutine_report import Report, report
from sre_platform.kernel.errors import Malformed

LATER, EARLIER, LEAKED = "goroutine", "earlier", "goroutineleak"  # decisions/0007

# Characters of one text that a page reads: 60,000 goroutines of the recorded leak, when the collector fetches at most
# 20,000. Measured with two such dumps on a busy core: 0.5 s of like goroutines, 4.0 s when all of them are different.
MOST_READ = 16 << 20
# Different stacks that are judged, the largest first. A service shows some hundreds (2,000, each waiting for another
# lock of one array, took 1.7 s of the judgement alone).
MOST_JUDGED = 1_000


class Verdict(NamedTuple):
    """In plain words; ``tone`` is one of the stylesheet's."""

    tone: str
    title: str
    reason: str


@dataclass(frozen=True)
class Look:
    """The dumps of one process and what they say. ``notes`` are whole sentences about what could not be used."""

    later: Dump
    earlier: Dump | None
    leaked: Dump | None
    report: Report
    notes: Sequence[str]

    @cached_property
    def leads(self) -> Mapping[Hashable, Suspect]:
        """The suspected buckets by key, with what the garbage collector proved of them."""
        return {lead.bucket.key: lead for lead in suspects(self.earlier, self.later, self.leaked)}

    @property
    def growth(self) -> int | None:
        """Of all goroutines since the earlier dump; None when it cannot be known."""
        cut = self.earlier is None or self.earlier.truncated or self.later.truncated
        return None if self.earlier is None or cut else self.later.total - self.earlier.total

    @property
    def fewer(self) -> int:
        """How many goroutines there are less than in the earlier dump."""
        return max(0, -(self.growth or 0))

    def growth_of(self, bucket: Bucket) -> int | None:
        """Of the goroutines of one bucket; None when it cannot be known."""
        lead = self.leads.get(bucket.key)
        if lead is not None:
            return lead.growth
        return bucket.count - self._counts.get(bucket.key, 0) if self._comparable else None

    @cached_property
    def _counts(self) -> Mapping[Hashable, int]:
        return {bucket.key: bucket.count for bucket in self.earlier.buckets} if self.earlier else {}

    @cached_property
    def _comparable(self) -> bool:
        """What a cut dump lacks would look like growth, and so would stacks of the other form (debug=1 and 2)."""
        if self.earlier is None or self.earlier.truncated:
            return False
        return _tells_creators(self.earlier) == _tells_creators(self.later)


def _tells_creators(dump: Dump) -> bool:
    return any(bucket.created_by for bucket in dump.buckets)


def look(texts: Mapping[str, str | bytes]) -> Look:
    """What ``texts`` say, by the names of decisions/0007. Raises Malformed when the later dump is none."""
    if LATER not in texts:
        raise Malformed("No goroutine dump is kept with this evidence, or no longer.")
    notes: list[str] = []
    later = _read(texts[LATER], "dump", notes)
    earlier = _read_if_possible(texts, EARLIER, "earlier dump", notes)
    leaked = _read_if_possible(texts, LEAKED, "goroutineleak profile", notes)
    return Look(later, earlier, leaked, report(later, earlier, leaked), notes)


def _read_if_possible(texts: Mapping[str, str | bytes], name: str, words: str, notes: list[str]) -> Dump | None:
    if name not in texts:
        return None
    try:
        return _read(texts[name], words, notes)
    except Malformed as error:
        notes.append(f"The {words} could not be used: {error}")
        return None


def _read(text: str | bytes, words: str, notes: list[str]) -> Dump:
    dump = parse(text[:MOST_READ])  # a profile in protobuf comes near that only with a label for each goroutine
    if len(text) > MOST_READ:
        notes.append(
            f"The {words} is {len(text) >> 20} MiB long, and its first {MOST_READ >> 20} MiB are read here: counts are"
            " lower bounds. `manage.py diagnose_goroutines` reads all of it."
        )
        dump = replace(dump, truncated=True)
    elif dump.truncated:
        notes.append(f"The {words} was cut: its counts are lower bounds.")
    if len(dump.buckets) > MOST_JUDGED:
        notes.append(f"Of the {words}, the largest {MOST_JUDGED} of {len(dump.buckets)} clusters are judged.")
        dump = replace(dump, truncated=True, buckets=dump.buckets[:MOST_JUDGED])
    return dump


def verdict(seen: Look) -> Verdict:
    """Whether it leaks or hangs, and how that is known."""
    if seen.report.leak:
        return _guilty({cause.evidence for cause in seen.report.causes})
    if seen.report.leak is False:
        return Verdict("good", "No leak", "Nothing piled up between the two dumps, and nothing holds up anything else.")
    looks = "Some goroutines look stuck, but an idle service may look the same." if seen.report.causes else ""
    before = "the earlier dump is not whole" if seen.earlier else "there is no earlier dump to compare with"
    return Verdict("plain", "Cannot be told", f"{looks} Growth is not known: {before}.".strip())


def _guilty(kinds: set[str]) -> Verdict:
    if "gc-proof" in kinds:
        return Verdict("bad", "It leaks", "The garbage collector proved that goroutines can never go on.")
    if "lock-cycle" in kinds:
        return Verdict("bad", "It hangs", "Goroutines wait for locks that are not given back: addresses say so.")
    return Verdict("bad", "It leaks, most likely", "Goroutines pile up between the two dumps and do not leave again.")
