"""Whatever happens in whatever order, no limit is passed, no target has two hands on it, and a stop is a stop.

A machine proposes, approves, begins, finishes, takes back, dies and takes over, opens and closes a freeze window,
throws the kill switch and lets time pass, all on real rows and through the real gate. It keeps its own book.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest
from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sre_platform.engine import permission
from sre_platform.guardrails.domain import Answer, Denied
from sre_platform.guardrails.models import ActionLimit, FreezeWindow, RemediationPolicy, halted, set_kill_switch
from sre_platform.incidents import record
from sre_platform.incidents.domain import Event, State
from sre_platform.incidents.models import Incident
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Lost, Rejected
from sre_platform.remediation import steps
from sre_platform.remediation.models import Step
from tests.engine.gated import opened, services, step_for, work_on

pytestmark = pytest.mark.django_db
CLUSTERS = {"a": "eu", "b": "eu", "c": "us", "d": "us"}
ASKED = "d"  # of this service people are asked
FROZEN = "[abd]"  # the services that a freeze window is for
COOLDOWN_S, TRIES = 50.0, 2
SELDOM = st.sampled_from([False, False, False, True])
# name: what is counted together, how many within how many seconds, how many at once
LIMITS = {"all": (3, 300, 2), "cluster": (2, 200, 1), "service": (2, 250, 0), "action": (9, 90, 9)}


@dataclass
class Begun:
    """A repair that was begun, in the machine's own book; ``ago_s`` grows with time."""

    step: int
    incident: int
    service: str
    ago_s: float = 0.0

    def together(self, per: str) -> str:
        return {"service": self.service, "cluster": CLUSTERS[self.service]}.get(per, "")


@dataclass
class Book:
    """All that was begun, and the steps that wait."""

    begun: list[Begun] = field(default_factory=list)
    wait: list[int] = field(default_factory=list)
    frozen: bool = False
    approved: set[int] = field(default_factory=set)  # incidents of which a person has approved what is to be done
    ended: dict[int, int] = field(default_factory=dict)  # how often an incident of that number has


class Automation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.undone_after = ExitStack()
        self.undone_after.enter_context(transaction.atomic())
        self.undone_after.callback(lambda: transaction.set_rollback(True))
        self.book = Book()
        for name, cluster in CLUSTERS.items():
            services(name, cluster=cluster, environment="production")
        policy = {"cooldown_s": COOLDOWN_S, "max_actions": TRIES}
        RemediationPolicy.objects.create(name="ask", service=ASKED, mode="approve", precedence=1, **policy)
        RemediationPolicy.objects.create(name="all", mode="auto", **policy)
        for per, (most, window_s, at_once) in LIMITS.items():
            ActionLimit.objects.create(name=per, per=per, max_actions=most, window_s=window_s, at_once=at_once)

    def teardown(self) -> None:
        self.undone_after.close()

    @rule(service=st.sampled_from(sorted(CLUSTERS)), number=st.integers(0, 5), goes_on=st.booleans())
    def propose(self, service: str, number: int, goes_on: bool) -> None:
        """An alert has led to a cause; an open incident may propose a second action. It may be begun at once."""
        key = f"incident-{number}-{self.book.ended.get(number, 0)}"
        about = Incident.objects.filter(key=key).first() or opened(service, key)
        step = step_for(about, service)
        said = permission.permit(work_on(about), step)[1].answer
        assert (said is Answer.DENY) == (step.pk is None or not Step.objects.filter(pk=step.pk).exists())
        if said is not Answer.DENY:
            assert said is (Answer.ASK if service == ASKED else Answer.ALLOW)
            self.book.wait.append(step.pk)
            if goes_on:
                self._begin(self.book.wait.pop(), dies=False)

    @precondition(lambda self: self.book.wait)
    @rule(which=st.integers(0, 9), dies=st.booleans(), approved=st.booleans())
    def begin(self, which: int, dies: bool, approved: bool) -> None:
        """A worker begins what was permitted, or dies and another takes over; a person may have approved it."""
        step = Step.objects.get(pk=self.book.wait.pop(which % len(self.book.wait)))
        if approved:
            by, awaiting = (Event.HUMAN_APPROVED, "ann", {}, 0), State.AWAITING_APPROVAL
            record._append(step.incident_id, *by, awaiting, State.APPROVED)
            self.book.approved.add(step.incident_id)
        self._begin(step.pk, dies)

    def _begin(self, pk: int, dies: bool) -> None:
        step = Step.objects.get(pk=pk)
        work = work_on(step.incident)
        if dies:
            late, work = work, work_on(step.incident)
            with pytest.raises((Lost, Denied)), transaction.atomic():
                permission.beginning(late)(step, late.lease)
        try:
            permission.beginning(work)(step, work.lease)
        except Denied as denied:
            asked = step.target == ASKED and step.incident_id not in self.book.approved
            assert denied.verdict.answer is Answer.DENY or asked
            self._release(step)
        else:
            self._entered(step)

    def _entered(self, step: Step) -> None:
        assert halted() == "", "nothing is begun while all automation is stopped"
        assert not (self.book.frozen and fnmatchcase(step.target, FROZEN)), "nothing is begun while it is frozen"
        assert step.target != ASKED or step.incident_id in self.book.approved, "nothing is begun that nobody approved"
        before = [one.ago_s for one in self.book.begun if one.service == step.target]
        assert min(before, default=COOLDOWN_S) >= COOLDOWN_S, "nothing is begun before its cooldown is over"
        self.book.begun.append(Begun(step.pk, step.incident_id, step.target))
        tries = [one for one in self.book.begun if one.incident == step.incident_id]
        assert len(tries) <= TRIES, "no incident tries more than its policy allows"

    @precondition(lambda self: self.book.begun)
    @rule(which=st.integers(0, 9), stays=st.booleans())
    def end(self, which: int, stays: bool) -> None:
        """What was begun is kept, its incident being over, or is taken back."""
        step = Step.objects.get(pk=self.book.begun[which % len(self.book.begun)].step)
        if stays or step.state not in (Step.State.APPLYING, Step.State.UNDOING):
            self._release(step)
        else:
            self._take_back(step)

    def _release(self, step: Step) -> None:
        """Its incident ends; a new alert opens another one."""
        steps.release(step.incident_id)
        _, number, generation = step.incident.key.split("-")
        self.book.ended[int(number)] = int(generation) + 1

    def _take_back(self, step: Step) -> None:
        same = {name: getattr(step, name) for name in ("incident_id", "cause", "target", "action", "says", "aim")}
        undo = Step.objects.filter(undoes=step).first()
        if undo and undo.state == Step.State.CANCELLED:
            return  # its incident has ended
        Step.objects.filter(pk=step.pk).update(state=Step.State.UNDOING)
        undo = undo or Step.objects.create(undoes=step, **same)
        work = work_on(step.incident)
        try:
            steps.begin_unless_stopped(undo, work.lease)
        except Rejected:
            assert halted(), "only a stop keeps an undo back"
            return
        assert halted() == ""
        Step.objects.filter(pk=undo.pk).update(state=Step.State.APPLIED)
        steps.undone(step)

    @rule(on=SELDOM)
    def stop(self, on: bool) -> None:
        set_kill_switch(on, "ann", "enough")

    @rule(on=SELDOM)
    def freeze(self, on: bool) -> None:
        FreezeWindow.objects.all().delete()
        if on:
            times = {"first_start": now() - timedelta(hours=1), "duration_s": 86400}
            FreezeWindow.objects.create(name="now", reason="books", service=FROZEN, environment="prod*", **times)
        self.book.frozen = on

    @rule(seconds=st.sampled_from([1, 10, 100, 400]))
    def time_passes(self, seconds: int) -> None:
        """Everything that was done becomes so much older."""
        aged = timedelta(seconds=seconds)
        Step.objects.update(prepared_at=F("prepared_at") - aged)
        Step.objects.filter(applying_at__isnull=False).update(applying_at=F("applying_at") - aged)
        for one in self.book.begun:
            one.ago_s += seconds

    @invariant()
    def no_limit_is_passed(self) -> None:
        for per, (most, window_s, at_once) in LIMITS.items():
            for together in {one.together(per) for one in self.book.begun}:
                same = [one for one in self.book.begun if one.together(per) == together]
                assert len([one for one in same if one.ago_s < window_s]) <= most, per
                assert not at_once or len(self._active(same)) <= at_once, per

    def _active(self, begun: list[Begun]) -> set[str]:
        """The services among these on which a repair or an undo holds its target."""
        holding = Step.objects.filter(state__in=[Step.State.APPLYING, Step.State.APPLIED])
        ours = {one.step for one in begun}
        return {step.target for step in holding if {step.pk, step.undoes_id} & ours}

    @invariant()
    def no_target_has_two_hands_on_it(self) -> None:
        held = list(Step.objects.filter(state__in=Step.HOLDING).values_list("target", flat=True))
        assert len(held) == len(set(held))


def test_no_sequence_passes_a_limit_or_acts_while_it_is_stopped_or_frozen(db):
    # A failure is told as it was found: to make it smaller would take minutes.
    found = {"phases": [Phase.reuse, Phase.generate], "suppress_health_check": list(HealthCheck)}
    checked = settings(max_examples=30, stateful_step_count=40, deadline=None, **found)
    run_state_machine_as_test(Automation, settings=checked)
    assert Step.objects.count() == 0, "every example has left nothing behind"
