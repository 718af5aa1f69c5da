"""Switching plans on and off at endpoints, and pausing those that people object to."""

from __future__ import annotations

from datetime import timedelta

from mappings.endpoint import Endpoint
from mappings.errors import BadInputError
from mappings.plan import Plan
from middleware.decisions.rollout import check_step, check_trial, objects_too_much
from middleware.storage import audit, endpoints, rollouts
from middleware.storage.connecting import Tx
from middleware.storage.rollouts import Rollout
from middleware.wiring.runtime import Runtime

LOOK_BACK = timedelta(days=30)
ITSELF = "CareCue"


def switch_on(
    runtime: Runtime,
    plan: Plan,
    endpoint: Endpoint,
    percent: int,
    by: str,
    reason: str,
) -> Rollout:
    """Switch a plan on for a share of the patients; raises BadInputError if it may not.

    Sandboxes may go to any step at once and need no trial.
    """
    now = runtime.clock.now()
    with runtime.database.tx() as tx:
        present = _present(tx, endpoint, plan)
        if endpoint.governed:
            check_step(present, percent)
            check_trial(
                rollouts.last_trial(tx, endpoint.id, plan.id, plan.version), now
            )
        return _put(tx, plan, endpoint, percent, "on", by, reason, runtime)


def switch_off(
    runtime: Runtime, plan: Plan, endpoint: Endpoint, by: str, reason: str
) -> Rollout:
    """Switch a plan off; what it planned is cancelled when its time comes."""
    with runtime.database.tx() as tx:
        return _put(tx, plan, endpoint, 0, "off", by, reason, runtime)


def pause_unwanted(runtime: Runtime) -> list[Rollout]:
    """Pause the plans whose messages too many people answered with a stop."""
    now = runtime.clock.now()
    paused: list[Rollout] = []
    with runtime.database.tx() as tx:
        known = {item.id: item for item in endpoints.list_endpoints(tx)}
        stopped = {
            (item.endpoint_id, item.plan)
            for item in rollouts.list_rollouts(tx)
            if item.state != "on"
        }
        for taken in rollouts.list_taken(tx, now - LOOK_BACK):
            endpoint = known.get(taken.endpoint_id)
            if endpoint is None or (taken.endpoint_id, taken.plan) in stopped:
                continue
            limit = endpoint.site.opt_out_percent
            if objects_too_much(taken.told, taken.objected, limit):
                reason = (
                    f"{taken.objected} of {taken.told} contact points said stop in 30 "
                    f"days; the site's limit is {limit:g} percent"
                )
                found = Rollout(
                    taken.endpoint_id, taken.plan, "", 0, "paused", reason, now, ITSELF
                )
                _store(tx, found)
                paused.append(found)
    return paused


def _present(tx: Tx, endpoint: Endpoint, plan: Plan) -> int:
    for item in rollouts.list_rollouts(tx, endpoint.id):
        if item.plan == plan.id:
            return item.percent if item.state == "on" else 0
    return 0


def _put(
    tx: Tx,
    plan: Plan,
    endpoint: Endpoint,
    percent: int,
    state: str,
    by: str,
    reason: str,
    runtime: Runtime,
) -> Rollout:
    now = runtime.clock.now()
    if not by.strip() or not reason.strip():
        raise BadInputError("Say who switches it and why. Nothing was changed.")
    found = Rollout(endpoint.id, plan.id, plan.version, percent, state, reason, now, by)
    _store(tx, found)
    return found


def _store(tx: Tx, rollout: Rollout) -> None:
    rollouts.put_rollout(tx, rollout)
    audit.insert_audit(
        tx,
        rollout.changed_by,
        f"plan-{rollout.state}",
        rollout.changed_at,
        subject=f"{rollout.endpoint_id}/{rollout.plan}",
        detail={"percent": rollout.percent, "reason": rollout.reason},
    )
