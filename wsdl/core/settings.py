"""Settings from files: changes to a frozen dataclass, checked for unknown names and wrong types."""

from dataclasses import fields, is_dataclass, replace

from wsdl.core.io import WsdlError


def apply_changes(base, changes: dict, where: str):
    """`base` (a frozen dataclass) with `changes`, checked; `where` names their origin in error messages."""
    valid = [setting.name for setting in fields(base)]
    if not isinstance(changes, dict):
        raise WsdlError(f"{where}: is {changes!r}, but must be settings: {', '.join(valid)}.")
    checked = {}
    for key, value in changes.items():
        if key not in valid:
            raise WsdlError(f"{where}: unknown setting '{key}'; valid are {', '.join(valid)}.")
        old = getattr(base, key)
        nested = is_dataclass(old)
        checked[key] = apply_changes(old, value, f"{where}: {key}") if nested else _check_type(old, value, where, key)
    try:
        return replace(base, **checked)
    except WsdlError as error:
        raise WsdlError(f"{where}: {error}") from None


def _check_type(old, value, where: str, key: str):
    """`value` if it has the type of `old` (an int may stand for a float, a list for a tuple)."""
    kind = type(old[0]) if isinstance(old, tuple) and old else str
    if isinstance(old, tuple) and isinstance(value, list | tuple) and all(type(v) is kind for v in value):
        return tuple(value)
    if isinstance(old, float) and type(value) is int:
        return float(value)
    if type(value) is not type(old):
        raise WsdlError(f"{where}: {key} is {value!r}, but must be of type {type(old).__name__}.")
    return value
