"""The sandbox EHR: every form, with handshakes, heartbeats, $status and $events."""

from mappings.dialects.dialect import Dialect

DIALECT = Dialect(name="sandbox", title="Sandbox EHR", software=("sandbox ehr",))
