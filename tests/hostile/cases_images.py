"""Bad images and masks."""

from bad_input import BadInput

CASES: list[BadInput] = []
