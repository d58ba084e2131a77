"""What a roll-out does to the world: weights, the canary's process, the baseline's release. Every effect is repeatable.

Each function looks first and does what is missing, asking the lease right before each effect. So a new owner that finds
a state written calls the same function and comes to the same end, whatever its predecessor had done of it.
"""

from dataclasses import dataclass

from sre_platform.catalog.domain import Target
from sre_platform.catalog.routes import CanaryProcess
from sre_platform.clients import http, releases
from sre_platform.clients.supervisor import Supervisor
from sre_platform.clients.traffic import BASELINE_ONLY, WHOLE, Weights
from sre_platform.kernel.errors import Malformed, SreError, Unavailable
from sre_platform.remediation.restarting import replace, replaced
from sre_platform.rollouts import record
from sre_platform.rollouts.domain import Limits
from sre_platform.rollouts.models import Rollout
from sre_platform.rollouts.record import Lease
from sre_platform.rollouts.routing import Router

HEALTH_TIMEOUT_S = (0.3, 0.6)  # a look a second at a page that answers within milliseconds
IN_DOUBT = "in_doubt"  # in the weights that were last seen: since then they may have been changed
# Each time that one sleeps again while another walks on; whoever was last has said what is to be.
OVERTAKEN_AT_MOST = 5


@dataclass(frozen=True)
class Hands:
    """One roll-out's grip on the world, under a lease. All methods raise SreError, and Lost."""

    target: Target
    canary: CanaryProcess
    router: Router
    supervisor: Supervisor
    lease: Lease

    @property
    def limits(self) -> Limits:
        """What the canary may be at the most: the catalog's word, else the defaults."""
        return Limits(**self.canary.limits.model_dump(exclude_none=True))

    def weigh(self, rollout: Rollout, weights: Weights) -> bool:
        """Bring the router to ``weights``, which have been written as wanted; True when something had to be done.

        That they are in doubt is written first: a new owner sets them again, since what the router shows may be a file
        that nginx was never told to load.
        """
        if self._is_at(rollout, weights):
            return False
        rollout.actual = (rollout.actual or {}) | {IN_DOUBT: True}
        self.lease.write(actual=rollout.actual)
        self.lease.confirm()
        try:
            self.router.set(self.target, weights)
        finally:
            self._give_way(weights)
        actual = self.router.read(self.target)
        if actual != weights:
            raise Unavailable(
                f"The router took {weights.canary} % for the canary, and shows others: {actual.canary} %."
            )
        rollout.actual = actual.as_json()
        said = f"The router gives {actual.canary} % of the traffic to the canary."
        record.note(self.lease, "weights_set", said, {"weights": rollout.actual}, actual=rollout.actual)
        return True

    def _is_at(self, rollout: Rollout, weights: Weights) -> bool:
        if rollout.actual not in (None, weights.as_json()):
            return False  # nothing is asked before they are set: a router that answers late would make a breach last
        try:
            actual = self.router.read(self.target)
        except Malformed:  # somebody set what is no weight: it is set anew, and read again
            return False
        if actual == weights and rollout.actual is None:
            self.lease.write(actual=actual.as_json())
        return actual == weights

    def _give_way(self, done: Weights) -> None:
        """Who slept between asking and setting leaves the router as the row of who took over says it has to be."""
        for _ in range(OVERTAKEN_AT_MOST):
            row = Rollout.objects.get(pk=self.lease.rollout_id)
            if row.fence == self.lease.fence or row.weights == done:
                return
            self.router.set(self.target, done := row.weights)

    def start_canary(self, rollout: Rollout) -> None:
        """Link the canary's release and start its process afresh, once: the process found before is written first."""
        name = self.canary.process
        if "canary_pid" not in rollout.facts:
            process = self.supervisor.process(name)
            rollout.facts |= {"canary_pid": process.pid if process.running else 0}
            self.lease.write(facts=rollout.facts)
        if releases.running(self.canary.release_link) != rollout.canary:
            self.lease.confirm()
            releases.switch(self.canary.release_link, self.target.releases_dir, rollout.canary)
        if not replaced(self.supervisor, name, rollout.facts["canary_pid"]):
            replace(self.supervisor, name, rollout.facts["canary_pid"], self.lease.confirm)

    def promote(self, rollout: Rollout) -> bool:
        """Move the baseline to the new release behind the canary's back; True once all traffic is on it again.

        What lost its share is stopped a tick later: requests that were on their way have an end.
        """
        if not self._baseline_runs(rollout, rollout.canary):
            if not self._carry(rollout, Weights(WHOLE)):
                self._move_baseline(rollout, rollout.canary)
            return False
        if self._carry(rollout, BASELINE_ONLY):
            return False
        self._stop_canary()
        return True

    def moving(self, rollout: Rollout) -> bool:
        """Whether the baseline has been touched: from then on it is brought to an end, one way or the other."""
        return "baseline_pid" in rollout.facts

    def go_back(self, rollout: Rollout) -> bool:
        """All traffic to the baseline first, if it can take it, then the canary stopped; True once all that is so.

        A baseline that a promotion had moved is moved back first: meanwhile the canary serves, as it does already, if
        it still can.
        """
        moved = self.moving(rollout) and not self._baseline_runs(rollout, rollout.baseline)
        if not (moved and self._canary_serves()) and self.weigh(rollout, BASELINE_ONLY):
            return False
        if moved:
            self._move_baseline(rollout, rollout.baseline)
            return False
        self._stop_canary()
        return True

    def _canary_serves(self) -> bool:
        return self.supervisor.process(self.canary.process).running and not self.healthy(self.canary.health_url)

    def healthy(self, url: str) -> str:
        """Why a health page is not well; the empty string when it is, or when there is none."""
        if not url:
            return ""
        try:
            http.request("GET", url, timeout=HEALTH_TIMEOUT_S, deadline_s=1.0, max_bytes=65536)
        except SreError as error:
            return str(error)
        return ""

    def _carry(self, rollout: Rollout, weights: Weights) -> bool:
        if rollout.weights != weights:
            record.want(
                self.lease, weights.as_json(), f"{weights.canary} % of the traffic to the canary, to promote it."
            )
            rollout.wanted = weights.as_json()
        return self.weigh(rollout, weights)

    def _baseline_runs(self, rollout: Rollout, release: str) -> bool:
        """Whether the baseline was started from ``release`` and is well. What was replaced is known by its pid."""
        linked = releases.current(self.target.release_link) == release
        moved = rollout.facts.get("baseline_to") == release
        pid = int(rollout.facts.get("baseline_pid", 0))
        fresh = moved and replaced(self.supervisor, self.target.process, pid)
        return linked and fresh and not self.healthy(self.target.health_url)

    def _move_baseline(self, rollout: Rollout, release: str) -> None:
        """Link ``release`` and restart the baseline from it; the process that it replaces is written first."""
        if rollout.facts.get("baseline_to") != release:
            before = releases.current(self.target.release_link)
            process = self.supervisor.process(self.target.process)
            pid = process.pid if process.running else 0
            rollout.facts |= {"baseline_pid": pid, "baseline_to": release}
            record.moves_baseline(self.lease, rollout, before, release)
        if releases.current(self.target.release_link) != release:
            self.lease.confirm()
            releases.switch(self.target.release_link, self.target.releases_dir, release)
        pid = int(rollout.facts["baseline_pid"])
        if not replaced(self.supervisor, self.target.process, pid):
            replace(self.supervisor, self.target.process, pid, self.lease.confirm)

    def _stop_canary(self) -> None:
        if self.supervisor.process(self.canary.process).running:
            self.lease.confirm()
            self.supervisor.stop(self.canary.process)
