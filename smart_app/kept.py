"""What a launch keeps, sealed together with its id: tokens, verifier, nonce, Patient.

No row can stand in for another. Secrets are revealed to be sealed, and are secrets again
when they come back.
"""

from __future__ import annotations

from typing import Any

import orjson

from mappings.errors import LaunchError
from mappings.secret import Secret
from middleware.desk.launches import Launch
from middleware.desk.viewer import mark
from smart_app.ports import SmartPorts

SECRETS = ("token", "refresh", "verifier")
ENDED = mark(
    "Your chart session ended. Open this app again from the chart. "
    "What was saved before is kept."
)


def seal(ports: SmartPorts, launch_id: str, value: dict[str, Any]) -> bytes:
    """Seal a JSON object to the launch with this id."""
    clear = {name: _reveal(kept) for name, kept in value.items()}
    return ports.sealer.seal(orjson.dumps({**clear, "lid": launch_id}))


def unseal(ports: SmartPorts, launch: Launch) -> dict[str, Any]:
    """Open what was sealed to this launch; LaunchError S3 when it is another's."""
    value: dict[str, Any] = orjson.loads(ports.sealer.open(launch.sealed))
    if value.get("lid") != launch.id:
        raise LaunchError(ENDED, code="S3", status=403)
    held = {name: Secret(value[name]) for name in SECRETS if value.get(name)}
    return {**value, **held}


def _reveal(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value
