"""python -m wsdl.faces.child OUT STYLE SEED SIZE SAMPLES: renders the faces whose numbers come in on stdin.

Started by `batch`. Says "ready", then "done 7" on stdout when face 7 is written, mask first, so that an image always
has one; "failed" with a sentence where the reader can mend it.
"""

import sys
from pathlib import Path

from wsdl.core.io import WsdlError, seed_for
from wsdl.data.images import write_image
from wsdl.faces.batch import name
from wsdl.faces.render import render_face
from wsdl.faces.rig import rig


def main(out: str, style: str, seed: str, size: str, samples: str) -> None:
    rig()
    print("ready", flush=True)
    for line in sys.stdin:
        i = int(line)
        pixels, labels = render_face(seed_for(seed, "render", style, i), style, int(size), int(samples))
        write_image(Path(out) / "masks" / name(i), labels)
        write_image(Path(out) / "images" / name(i), pixels)
        print(f"done {i}", flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except WsdlError as error:  # a full disk, say: for the parent to raise
        print(f"failed {error}", flush=True)
