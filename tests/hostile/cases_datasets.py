"""Bad dataset folders, manifests and tables."""

from bad_input import BadInput

CASES = [
    BadInput("data-is-missing", "train --setup b --data {place}/nothing --out {out}", "nothing: no such folder"),
    BadInput(
        "manifest-is-empty",
        "train --setup b --data {data} --out {out}",
        "manifest.csv: ",
        lambda place: (place / "data" / "manifest.csv").write_bytes(b""),
    ),
]
