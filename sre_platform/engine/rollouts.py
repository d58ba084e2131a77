"""Roll-outs as the engine runs them: started, walked in ticks of a second by one worker, told to people.

A walk stays with its worker for a while instead of waiting for a bell every second: bells queue behind diagnoses, and a
breach has to be answered within five seconds. Every tick asks whether the roll-out is still this worker's.
"""

from collections.abc import Sequence
from time import monotonic, sleep

import structlog
from django.conf import settings

from sre_platform.catalog.domain import Target, Topology
from sre_platform.catalog.models import topology
from sre_platform.catalog.routes import CanaryProcess
from sre_platform.clients import releases
from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Lost, Rejected, SreError
from sre_platform.rollouts import record, walk
from sre_platform.rollouts.hands import Hands
from sre_platform.rollouts.holding import hold
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.routing import ROUTERS, router_of
from sre_platform.rollouts.walking import Walk

# Below the soft time limit of a task; then the next worker goes on. Long, since the next bell may have to queue.
WALK_FOR_S = 40.0
RETRY_S = 2.0
QUESTION_S = 1.0  # for the supervisor to say how a process is: it does so within milliseconds
log = structlog.get_logger()


def start(
    service: str,
    release: str,
    by: str,
    weights: Sequence[int] = walk.STEPS,
    label: str = "",
    step_s: float = walk.STEP_S,
    reason: str = "",
) -> Rollout:
    """Write a roll-out of ``release``; the sweep walks it. Raises SreError when it makes no sense here and now."""
    known = topology()
    if service not in known:
        raise Rejected(f"The catalog knows no service {service!r}.")
    target, steps = known[service], walk.plan(weights, label)
    if not walk.LEAST_STEP_S <= step_s <= walk.LONGEST_STEP_S:
        raise Rejected(f"A step takes from {walk.LEAST_STEP_S:g} to {walk.LONGEST_STEP_S:g} s.")
    router = router_of(target)
    canary = target.held_by(CanaryProcess)
    target.held_by(router.Handle)
    if canary.process == target.process or canary.release_link == target.release_link:
        raise Rejected(f"The canary of {service} needs a process and a release link of its own: it would replace it.")
    share = router.read(target)  # one that does not answer now would leave the canary where it is
    if not share.none:
        said = f"{share.canary} % of all" if share.canary else "by a label"
        raise Rejected(f"The router gives the canary of {service} traffic already ({said}), by somebody else's hand.")
    before = releases.current(target.release_link)
    _refuse(known, target, release, before)
    return record.start(service, (before, release), router.name, steps, step_s, by, reason)


def _refuse(known: Topology, target: Target, release: str, before: str) -> None:
    """Raises Rejected when ``release`` cannot be rolled out, or nothing may be touched."""
    if release == before:
        raise Rejected(f"{target.service} runs {release} already.")
    if release not in (there := releases.available(target.releases_dir)):
        raise Rejected(f"There is no release {release!r} of {target.service}; known are: {', '.join(there)}.")
    if not target.process:
        raise Rejected(f"The catalog names no process for {target.service}, so its baseline cannot be moved.")
    if why := hold(known, target):
        raise Rejected(f"No roll-out may begin: {why}")


def advance(rollout_id: int, owner: str) -> float | None:
    """Walk a roll-out for a while; returns in how many seconds it goes on, None when there is nothing more to do."""
    lease = record.claim(rollout_id, owner)
    if lease is None:
        return None
    with structlog.contextvars.bound_contextvars(rollout=rollout_id):
        try:
            return _walk(lease)
        except Lost as lost:
            log.info("lease_lost", reason=str(lost))
            return None


def _walk(lease: record.Lease) -> float | None:
    """Tick until it ends or the time is over. Raises Lost."""
    walking = _walking(lease)
    if walking is None:
        record.release(lease, RETRY_S)
        return RETRY_S
    until = monotonic() + WALK_FOR_S
    while monotonic() < until:
        wait_s = _ticked(walking)
        if wait_s is None:
            return None
        sleep(wait_s)
    record.release(lease, 0.0)
    return 0.0


def _ticked(walking: Walk) -> float | None:
    """One tick. A plugin may raise anything: that is noted, never a way on, and, when it lasts, the way back."""
    try:
        return walking.tick()
    except Lost:
        raise
    except Exception as error:
        log.exception("rollout_tick_failed")
        return walking.broke(error)


def _walking(lease: record.Lease) -> Walk | None:
    """The roll-out with its grip on the world; None when the catalog no longer says how.

    Then nothing can be done, so people are told: it is on its way back, and is once the catalog says how again.
    """
    rollout, known = Rollout.objects.get(pk=lease.rollout_id), topology()
    try:
        target = known.get(rollout.service) or Target(rollout.service)
        canary, router = target.held_by(CanaryProcess), ROUTERS.get(rollout.router)
        target.held_by(router.Handle)
    except SreError as error:
        last = rollout.events.last()
        if rollout.state in (*walk.AT_A_STEP, walk.State.PROMOTING):
            record.move(lease, rollout, walk.Move(walk.State.ROLLING_BACK, rollout.step, str(error)), {})
        elif last is None or last.reason != str(error):
            record.note(lease, "trouble", str(error))
        return None
    return Walk(Hands(target, canary, router, supervisor(), lease), lambda: hold(topology(), target))


def supervisor() -> Supervisor:
    """As a walk asks it: one that hangs must not use up the seconds in which a breach has to be answered."""
    return Supervisor(settings.SRE_SUPERVISOR_URL, question_s=QUESTION_S)
