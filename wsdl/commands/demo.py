"""`python -m wsdl demo`: the main job, from faces to a report."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out, Profile, Seed, Source


def demo(
    out: Out = Path("out/demo"),
    source: Source = "studio",
    images: Annotated[str, typer.Option(help="Folder of photographs.")] = "",
    masks: Annotated[str, typer.Option(help="Folder of their component masks.")] = "",
    profile: Profile = "quick",
    p2_weights: Annotated[str, typer.Option(help="Use these weights instead of training the small P2 model.")] = "",
    methods: Annotated[str, typer.Option(help="Detectors, commas between them; default: the profile's.")] = "",
    seed: Seed = 0,
):
    """The whole series: faces, fakes, detectors, lessons -> OUT/index.html and OUT/results.csv. Needs no arguments."""
    from wsdl.demo import run_demo

    print(run_demo(out, profile, source, images, masks, p2_weights, seed, methods))
