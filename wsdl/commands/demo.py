"""python -m wsdl demo: the main job, from faces to a report."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import PhotoMasks, Photos, Profile, Seed, Source


def demo(
    out: Annotated[Path | None, typer.Option(help="Output folder (default: out/demo of this repository).")] = None,
    source: Source = "studio",
    images: Photos = "",
    masks: PhotoMasks = "",
    profile: Profile = "quick",
    p2_weights: Annotated[str, typer.Option(help="Use these weights instead of training the small P2 model.")] = "",
    methods: Annotated[str, typer.Option(help="Comma-separated detectors (default: those of the profile).")] = "",
    seed: Seed = 0,
):
    """Run the whole series: faces, fakes, detectors, lessons -> OUT/index.html and OUT/results.csv."""
    from wsdl.demo import run_demo
    from wsdl.experiments.open_study import default_study_folder

    print(run_demo(out or default_study_folder(), profile, source, images, masks, p2_weights, seed, methods))
