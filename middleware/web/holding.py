"""Setting and releasing a hold from the console, audited, with what was done said."""

from __future__ import annotations

from middleware.storage import audit, endpoints, settling, switches
from middleware.storage.connecting import Tx
from middleware.web.console_ports import ConsolePorts
from middleware.web.words import PlanWords


def list_targets(
    tx: Tx, ports: ConsolePorts, plans: PlanWords
) -> list[tuple[str, str, str]]:
    """List what can be held as (scope, target, words), everything first."""
    found = [("all", "*")]
    found.extend(("plan", plan.id) for plan in ports.plans)
    found.extend(("topic", name) for name in ports.topics)
    found.extend(("channel", name) for name in ports.channels)
    found.extend(("endpoint", item.id) for item in endpoints.list_endpoints(tx))
    return [(scope, name, plans.target(scope, name)) for scope, name in found]


def hold_target(
    ports: ConsolePorts,
    plans: PlanWords,
    scope: str,
    target: str,
    reason: str,
    person: str,
) -> str:
    """Hold a plan, topic, endpoint, channel or all; return what to tell the person."""
    now = ports.clock.now()
    with ports.database.tx() as tx:
        known = {(one, name) for one, name, _ in list_targets(tx, ports, plans)}
        if (scope, target) not in known or not reason:
            return "Nothing was held: choose what to hold and say why."
        fresh = switches.set_switch(
            tx,
            id=ports.ids.new(),
            scope=scope,
            target=target,
            reason=reason,
            set_by=person,
            now=now,
        )
        if fresh:
            audit.insert_audit(
                tx,
                person,
                "hold",
                now,
                subject=f"{scope}:{target}",
                detail={"reason": reason},
            )
    what = plans.target(scope, target)
    if not fresh:
        return f"{what} was held already. Nothing was changed."
    return f"Held from now on: {what}. Release it below when its cause is gone."


def release_target(
    ports: ConsolePorts, plans: PlanWords, scope: str, target: str, person: str
) -> str:
    """Release a hold and let what waited be looked at again."""
    now = ports.clock.now()
    with ports.database.tx() as tx:
        released = switches.release_switch(
            tx, scope=scope, target=target, released_by=person, now=now
        )
        shards = settling.look_again(tx, "switched-off", now) if released else []
        if released:
            audit.insert_audit(tx, person, "release", now, subject=f"{scope}:{target}")
    for shard in shards:
        ports.wake("deliver", shard)
    if not released:
        return "There was no such hold. Nothing was changed."
    what = plans.target(scope, target)
    if not shards:
        return f"Released: {what}. No message was waiting for it."
    return (
        f"Released: {what}. The messages that waited for it are checked again now; "
        "what is past its time stays unsent."
    )
