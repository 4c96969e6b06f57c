"""python -m wsdl data parse, data parse-score and train-parser: component masks for pictures without."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Option(help="A run of train-parser, or a SegFormer face parser; default: the shipped.")]


def parse(
    images: Annotated[Path, typer.Option(help="Folder of face pictures.")],
    out: Annotated[Path, typer.Option(help="Where to write the masks; with --align, images/ and masks/.")],
    model: Model = "",
    align: Annotated[bool, typer.Option("--align", help="Frame the faces as CelebA-HQ does, by their eyes.")] = False,
    size: Annotated[int, typer.Option(help="Side of aligned pictures in pixels.")] = 256,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Name pictures that fail and go on without.")] = False,
):
    """Component masks for pictures that have none, CelebAMask-HQ numbering, resumable."""
    from wsdl.parse.parse import parse as run_parse

    run_parse(images, out, model, align, size, skip_bad)


def parse_score(
    data: Annotated[Path, typer.Option(help="A dataset folder with component masks.")],
    model: Model = "",
    split: Annotated[str, typer.Option(help="train, valid, test or all.")] = "test",
    seed: Annotated[int, typer.Option(help="Of the intervals.")] = 0,
):
    """F1 of predicted component masks, pooled and as a mean over pictures with its interval."""
    from wsdl.parse.score import score

    print(score(data, model, split, seed).to_csv(index=False, float_format="%.4f"), end="")


def train_parser(
    data: Annotated[list[Path], typer.Option(help="A dataset folder with component masks; may be given again.")],
    out: Annotated[Path, typer.Option(help="Where to write the run.")],
    images: Annotated[int, typer.Option(help="Pictures to see, in all.")] = 200_000,
    style_from: Annotated[Path | None, typer.Option(help="Pictures without masks whose looks are borrowed.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
):
    """Train the face parser on real faces with component masks, resumable."""
    from wsdl.parse.train import train_parser as run_train

    run_train(data, out, images=images, style_from=style_from, seed=seed)


def register(app: typer.Typer, data: typer.Typer) -> None:
    """Add the commands: two to the group `data`, one beside it."""
    data.command("parse")(parse)
    data.command("parse-score")(parse_score)
    app.command("train-parser")(train_parser)
