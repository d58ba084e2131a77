"""Roll-outs: which canary walks where, what was seen every second, and everything that was decided about it."""

from typing import Any

from django.db import models

from sre_platform.clients.traffic import Counts, Observed, Weights
from sre_platform.rollouts import walk
from sre_platform.rollouts.expanding import Sample, Slice


class Rollout(models.Model):
    """A canary on its way. One at a time for each service, in the database itself."""

    service = models.CharField(max_length=100)
    baseline = models.CharField(max_length=200, help_text="The release that is replaced.")
    canary = models.CharField(max_length=200, help_text="The release that replaces it.")
    router = models.CharField(max_length=40)
    steps = models.JSONField(help_text="Each with weight (percent) and label.")
    step_s = models.FloatField(default=walk.STEP_S, help_text="The shortest time at one step, in seconds.")
    state = models.CharField(
        max_length=20, choices=[(s.value, s.value) for s in walk.State], default=walk.State.PENDING.value
    )
    step = models.PositiveIntegerField(default=0)
    state_since = models.DateTimeField()
    step_since = models.DateTimeField()
    wanted = models.JSONField(default=dict, help_text="The weights that the router is brought to.")
    actual = models.JSONField(null=True, help_text="The weights that the router was last seen with.")
    ending = models.CharField(max_length=20, default=walk.State.ROLLED_BACK.value, help_text="What a way back ends as.")
    wish = models.CharField(max_length=10, blank=True, help_text="What a person has asked for.")
    wish_by = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True, help_text="Why it is in its state.")
    started_by = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    claimed_by = models.CharField(max_length=200, blank=True)
    claimed_until = models.DateTimeField(null=True)
    fence = models.PositiveBigIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    counters = models.JSONField(null=True, help_text="What both versions had served when they were last read.")
    samples_taken = models.PositiveIntegerField(default=0)
    facts = models.JSONField(default=dict, help_text="What has to be remembered: pids, metrics at the step's start.")
    tell_at = models.DateTimeField(null=True, help_text="When people have to be told of it.")
    judgement = models.JSONField(null=True, help_text="The newest analysis.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["service"], condition=models.Q(ended_at=None), name="rollout_one_per_service"
            )
        ]
        indexes = [models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="rollout_due")]

    def __str__(self) -> str:
        return f"{self.service} {self.baseline} → {self.canary}: {self.state}"

    @property
    def plan(self) -> list[walk.Step]:
        """The steps as values."""
        return [walk.Step(**step) for step in self.steps]

    @property
    def weights(self) -> Weights:
        """What the router has to be brought to."""
        return Weights(**self.wanted)

    @property
    def ended(self) -> bool:
        return self.ended_at is not None


class RolloutEvent(models.Model):
    """Something that was decided, done or seen, with its numbers. Rows are only ever added."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    name = models.CharField(max_length=40)
    to_state = models.CharField(max_length=20, blank=True, help_text="Where it moved; empty when it did not.")
    reason = models.TextField()
    data = models.JSONField(default=dict)
    fence = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class RolloutSample(models.Model):
    """What both versions served between two readings of their counters, about a second apart."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="samples")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    step = models.PositiveIntegerField()
    weight = models.PositiveIntegerField()
    data = models.JSONField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["rollout", "number"], name="rollout_sample_once")]

    def __str__(self) -> str:
        return f"sample {self.number}"

    def as_value(self) -> Sample:
        """This row as the analysis takes it."""
        return Sample(self.at.timestamp(), _slice(self.data["baseline"]), _slice(self.data["canary"]))


def _slice(data: dict[str, Any]) -> Slice:
    return Slice(data["codes"], [(bound, count) for bound, count in data["latencies"]])


def sliced(piece: Slice) -> dict[str, Any]:
    """A slice as JSON."""
    return {"codes": dict(piece.codes), "latencies": [list(one) for one in piece.latencies]}


def packed(observed: Observed) -> dict[str, Any]:
    """Counters as JSON; infinity, which JSON does not know, is None."""
    return {name: _packed(getattr(observed, name)) for name in ("baseline", "canary")}


def _packed(counts: Counts) -> dict[str, Any]:
    buckets = [[None if bound == float("inf") else bound, count] for bound, count in counts.buckets]
    return {"codes": dict(counts.codes), "buckets": buckets}


def unpacked(data: dict[str, Any]) -> Observed:
    """What ``packed`` made."""
    return Observed(*(_unpacked(data[name]) for name in ("baseline", "canary")))


def _unpacked(data: dict[str, Any]) -> Counts:
    return Counts(data["codes"], [(float("inf") if bound is None else bound, n) for bound, n in data["buckets"]])
