"""One tick of a roll-out: bring the world to what is written, look, decide, and write what comes next."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from time import monotonic
from typing import Any

from sre_platform.clients.exposition import fetch
from sre_platform.clients.traffic import Weights
from sre_platform.guardrails.models import gate
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Rejected, SreError
from sre_platform.rollouts import early, record, saturation, walk
from sre_platform.rollouts.canary import judge
from sre_platform.rollouts.domain import Check, Verdict, overall
from sre_platform.rollouts.expanding import between, requests
from sre_platform.rollouts.hands import Hands
from sre_platform.rollouts.models import Rollout, RolloutSample, packed, sliced, unpacked
from sre_platform.rollouts.walk import AT_A_STEP, ENDED, State

TICK_S = 1.0
AGAIN_S = 0.5  # while promoting or going back
# The analysis looks every ten seconds; later, its price grows with the time looked at, and nothing is as urgent.
JUDGED_EVERY, JUDGED_LATER_EVERY, FIRST_MINUTE = 10, 30, 60  # samples
# Consecutive looks, a second apart, at which the canary's health page does not answer: one may be chance.
MOST_MISSES = 3
# Without a reading of router or counters: as long as a breach may last, since there may be one.
BLIND_S = 5.0
FORWARD = (State.STARTING, State.WALKING, State.PROMOTING)
METRIC_PAGE_S = 1.0
# Whoever takes the canary's share away is not worked against.
TAKEN = "The router was restarted, or somebody else took the canary's share of the traffic away."
ROUTER, COUNTERS, TICK = "router", "counters", "tick"


@dataclass
class Walk:
    """A roll-out in the hands of one owner. ``hold`` says why no step forward may be taken."""

    hands: Hands
    hold: Callable[[], str]
    misses: int = 0
    blind: dict[str, float] = field(default_factory=dict)
    trouble: str = field(default="", init=False)

    def tick(self) -> float | None:
        """Do what is due; returns in how many seconds the next tick is, None at the end. Raises Lost."""
        self.hands.lease.confirm()
        rollout = Rollout.objects.get(pk=self.hands.lease.rollout_id)
        seen = self._seen(rollout)
        self.blind.pop(TICK, None)
        to = walk.after(seen)
        if to is None:
            return AGAIN_S if seen.state in (State.PROMOTING, State.ROLLING_BACK, State.STARTING) else TICK_S
        told = {"numbers": rollout.judgement, "hold": seen.hold}
        if to.state in FORWARD:
            return self._forward(rollout, to, told)
        record.move(self.hands.lease, rollout, to, told)
        return None if to.state in ENDED else 0.0

    def _forward(self, rollout: Rollout, to: walk.Move, told: dict[str, Any]) -> float:
        """Held once more behind the gate, which whoever stops all automation goes through: none begins after that."""
        with gate():
            if self.hold():
                return TICK_S
            record.move(self.hands.lease, rollout, to, told)
        return 0.0

    def broke(self, error: Exception) -> float:
        """After a tick that raised what none should: noted, and when that lasts, the canary has to go. Raises Lost."""
        said = f"{type(error).__name__}: {error}"
        if self.trouble != said:
            self.trouble = said
            record.note(self.hands.lease, "failed_tick", said)
        rollout = Rollout.objects.get(pk=self.hands.lease.rollout_id)
        why = self._blind(TICK, f"For {BLIND_S:g} s nobody could look: {said}")
        if why and State(rollout.state) in (State.STARTING, *AT_A_STEP, State.PROMOTING):
            record.move(self.hands.lease, rollout, walk.Move(State.ROLLING_BACK, rollout.step, why), {})
        return TICK_S

    def _seen(self, rollout: Rollout) -> walk.Situation:
        state, moment = State(rollout.state), now()
        hold = "" if state is State.ROLLING_BACK else self.hold()
        done, breach = self._act(rollout, state, hold)
        unseen = state in (State.PENDING, State.ROLLING_BACK)
        ready, lost = (False, "") if unseen else self._canary(rollout, state)
        verdict = None
        if not (breach or lost) and state in (*AT_A_STEP, State.PROMOTING):
            breach, verdict = self._served(rollout, state)
        return walk.Situation(
            state=state,
            steps=rollout.plan,
            step=rollout.step,
            step_s=rollout.step_s,
            for_s=(moment - rollout.state_since).total_seconds(),
            at_step_s=(moment - rollout.step_since).total_seconds(),
            wish=walk.Wish(rollout.wish),
            breach=breach or lost,
            hold=hold,
            ready=ready,
            verdict=verdict,
            done=done,
            ending=State(rollout.ending),
        )

    def _act(self, rollout: Rollout, state: State, hold: str) -> tuple[bool, str]:
        """Bring the world to the state; whether that is at its end, and why the canary has to go."""
        try:
            at_step = state in AT_A_STEP and rollout.actual == rollout.wanted
            shown = self.hands.router.read(self.hands.target) if at_step else None
            if shown and _less(shown, rollout.weights):
                self.hands.lease.write(actual=shown.as_json())
                return False, TAKEN
            done = False if shown == rollout.weights else self._brought(rollout, state, hold)
        except Lost:
            raise
        except SreError as error:
            return False, self._troubled(state, error)
        self.blind.pop(ROUTER, None)
        return done, ""

    def _brought(self, rollout: Rollout, state: State, hold: str) -> bool:
        if state is State.ROLLING_BACK:
            return self.hands.go_back(rollout)
        if state is State.PROMOTING and hold and not self.hands.moving(rollout):
            return False
        if state is State.PROMOTING:
            return self.hands.promote(rollout)
        if state is State.STARTING:
            self.hands.weigh(rollout, rollout.weights)  # before its process is started anew
            self.hands.start_canary(rollout)
        elif state is not State.PENDING:
            self.hands.weigh(rollout, rollout.weights)
        return False

    def _troubled(self, state: State, error: SreError) -> str:
        """Note what could not be done, once; say that the canary has to go when that lasts, or will not change."""
        if self.trouble != str(error):
            self.trouble = str(error)
            record.note(self.hands.lease, "trouble", self.trouble)
        if state is State.STARTING and isinstance(error, Rejected):
            return f"The canary could not be started: {error}"
        return self._blind(ROUTER, f"The router cannot be reached: {error}") if state in AT_A_STEP else ""

    def _blind(self, what: str, why: str) -> str:
        """Why the canary has to go, once ``what`` could not be had for too long."""
        since = self.blind.setdefault(what, monotonic())
        return why if monotonic() - since > BLIND_S else ""

    def _canary(self, rollout: Rollout, state: State) -> tuple[bool, str]:
        """Whether the canary is ready, and why it has to go: it is down, or silent for some looks."""
        hands = self.hands
        try:
            process = hands.supervisor.process(hands.canary.process)
        except SreError:
            process = None  # the supervisor's trouble is not the canary's; the health page and the counters tell
        if process and not process.running and state in (*AT_A_STEP, State.PROMOTING):
            gone = state is State.PROMOTING and rollout.weights.none  # stopped by ourselves, at the end
            return False, "" if gone else f"The canary's process has ended: it is {process.state}."
        ill = hands.healthy(hands.canary.health_url)
        self.misses = self.misses + 1 if ill else 0
        lost = self.misses >= MOST_MISSES and state in (*AT_A_STEP, State.PROMOTING)
        return bool(process and process.running and not ill), f"The canary does not answer: {ill}" if lost else ""

    def _served(self, rollout: Rollout, state: State) -> tuple[str, Verdict | None]:
        """Read the counters: why the canary has to go at once, and what the analysis says if it was due."""
        try:
            self._sample(rollout)
        except Lost:
            raise
        except SreError as error:
            lost = self._blind(COUNTERS, f"The canary's requests cannot be seen: {error}")
            return lost if state in AT_A_STEP else "", None
        self.blind.pop(COUNTERS, None)
        if found := self._alarm(rollout):
            rollout.judgement = {
                "verdict": "fail",
                "stakes": found.stakes,
                "checks": [_alarm_check(found)],
            }
            self.hands.lease.write(judgement=rollout.judgement)
            return found.reason, None
        return "", self._judged(rollout) if state in AT_A_STEP else None

    def _sample(self, rollout: Rollout) -> None:
        observed = self.hands.router.observe(self.hands.target)
        served = between(unpacked(rollout.counters), observed) if rollout.counters else None
        sample = None
        if served:
            data = {"baseline": sliced(served[0]), "canary": sliced(served[1])}
            sample = RolloutSample(
                rollout_id=rollout.pk,
                number=rollout.samples_taken,
                at=now(),
                step=rollout.step,
                weight=rollout.weights.canary,
                data=data,
            )
        record.keep(self.hands.lease, sample, packed(observed))
        rollout.samples_taken += bool(sample)

    def _alarm(self, rollout: Rollout) -> early.Alarm | None:
        newest = rollout.samples_taken - 1
        first = early.first_needed(max(newest, 0))
        rows = rollout.samples.filter(number__gte=first)
        values = [row.as_value() for row in rows]
        seconds = [early.Second(v.baseline.total, v.baseline.failed, v.canary.total, v.canary.failed) for v in values]
        return early.alarm(seconds, first, self.hands.limits.errors)

    def _judged(self, rollout: Rollout) -> Verdict | None:
        """The analysis of this step's requests, when it is due."""
        rows = rollout.samples.filter(step=rollout.step)
        taken = rows.count()
        every = JUDGED_EVERY if taken <= FIRST_MINUTE else JUDGED_LATER_EVERY
        newest = taken if taken < record.MOST_SAMPLES else rollout.samples_taken  # from then on, one goes as one comes
        self._remember_metrics(rollout)
        if not newest or newest % every:
            return None
        self.hands.lease.confirm()  # seconds of work on much traffic
        found = judge(*requests([row.as_value() for row in rows]), self.hands.limits)
        checks = [*found.checks, *self._saturation(rollout, rows)]
        said = overall(checks)
        shown = {"verdict": said.value, "at": round(found.at, 1), "checks": [check.as_json() for check in checks]}
        before = (rollout.judgement or {}).get("verdict")
        rollout.judgement = shown
        if said.value != before:
            record.note(self.hands.lease, "analysed", _SAID[said], shown, judgement=shown)
        else:
            self.hands.lease.write(judgement=shown)
        return said

    def _remember_metrics(self, rollout: Rollout) -> None:
        """Keep what both versions show of themselves at the start of a step, for what has to be counted from there."""
        if self.hands.canary.saturation and rollout.facts.get("metrics_of") != rollout.step:
            rollout.facts |= {"metrics_of": rollout.step, "metrics": [dict(page) for page in self._pages()]}
            self.hands.lease.write(facts=rollout.facts)

    def _saturation(self, rollout: Rollout, rows: Sequence[Any] | Any) -> list[Check]:
        if not self.hands.canary.saturation:
            return []
        values = [row.as_value() for row in rows]
        served = (sum(v.baseline.total for v in values), sum(v.canary.total for v in values))
        before = rollout.facts["metrics"]
        return saturation.checks(self.hands.canary.saturation, (before[0], before[1]), self._pages(), served)

    def _pages(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        return self._page(self.hands.target.metrics_url), self._page(self.hands.canary.metrics_url)

    def _page(self, url: str) -> Mapping[str, float]:
        """The catalog's metrics of one page, its series added up, without what cannot be read or is no number."""
        wanted = {limit.metric for limit in self.hands.canary.saturation}
        found: dict[str, float] = {}
        try:
            for sample in fetch(url, METRIC_PAGE_S):
                if sample.name in wanted:
                    found[sample.name] = found.get(sample.name, 0.0) + sample.value
        except SreError:
            return {}  # what cannot be measured is inconclusive, and never passes
        return {name: value for name, value in found.items() if isfinite(value)}


def _less(shown: Weights, wanted: Weights) -> bool:
    return (shown.canary, shown.header, shown.region) < (wanted.canary, wanted.header, wanted.region)


_SAID = {
    Verdict.PASS: "The analysis passes the canary.",
    Verdict.FAIL: "The analysis fails the canary.",
    Verdict.INCONCLUSIVE: "It cannot be told yet whether the canary is good.",
}


def _alarm_check(found: early.Alarm) -> dict[str, Any]:
    return Check("5xx_now", None, found.canary, found.limit, Verdict.FAIL, found.reason).as_json()
