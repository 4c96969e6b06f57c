"""Bad inputs of reports, notebooks, grids and localize."""

from bad_input import BadInput

CASES: list[BadInput] = []
