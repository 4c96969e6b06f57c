"""Bad runs, weights, profiles and numbers."""

from bad_input import BadInput

CASES: list[BadInput] = []
