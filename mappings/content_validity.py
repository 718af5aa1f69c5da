"""Is a resource valid FHIR R4, by the models of fhir.resources: at the edge only."""

from __future__ import annotations

from mappings.content_merge import Placed


def find_invalid(item: Placed) -> tuple[str, ...]:
    """Return each element that is not valid R4B, with what is wrong; none when valid."""
    # The models cost a second to load; nothing but a check of content needs them.
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415
    from pydantic import ValidationError  # noqa: PLC0415

    kind = str(item.resource.get("resourceType"))
    try:
        get_fhir_model_class(kind).model_validate(item.resource)
    except KeyError:
        return (f"{item.place}: {kind} is no type of FHIR R4",)
    except ValidationError as error:
        return tuple(
            f"{item.place}: {item.name}: {_path(fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
    return ()


def _path(parts: tuple[int | str, ...]) -> str:
    """Return ``action[0].trigger`` for ("action", 0, "trigger")."""
    shown = ""
    for part in parts:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}"
    return shown.removeprefix(".") or "the resource"
