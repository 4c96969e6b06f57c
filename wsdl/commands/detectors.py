"""`python -m wsdl detectors`: calibrate detectors, and import those that were trained elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out

Jpeg = Annotated[list[int] | None, typer.Option(help="JPEG quality to test, may be repeated; default 75.")]
Resize = Annotated[list[float] | None, typer.Option(help="Factor of the sides to test, may be repeated; default 0.75.")]
Limit = Annotated[int, typer.Option(min=0, help="At most so many images of each folder; 0: all.")]
Parser = Annotated[str, typer.Option(help="Face parser, as of localize.")]

detectors = typer.Typer(no_args_is_help=True, help="Calibrate detectors; import those trained elsewhere.")


@detectors.command("import-dolos")
def import_dolos(
    file: Annotated[Path, typer.Argument(help="Weights of the paper's Patches: a file of PyTorch or safetensors.")],
    out: Out,
    setup: Annotated[str, typer.Option(help="The setup in which they were trained: a, b or c.")] = "c",
):
    """Published weights of the paper's Patches become a run folder, for `evaluate` and `localize`."""
    from wsdl.core.progress import print_stderr
    from wsdl.detectors.import_dolos import import_dolos as run_import

    run_import(file, out, setup)
    print_stderr(f"{out}: Patches, setup {setup}; score it with `python -m wsdl evaluate {out} --data DIR`.")


@detectors.command()
def calibrate(
    run: Annotated[str, typer.Argument(help="A run folder of train, or a pretrained detector.")],
    images: Annotated[Path, typer.Option(help="Folder of unaltered images that were not trained on.")],
    domain: Annotated[str, typer.Option(help='What they are, in the plural, such as "rendered portraits".')],
    fakes: Annotated[
        list[Path] | None, typer.Option(help="Folder of fakes of that kind, not trained on; may be repeated.")
    ] = None,
    jpeg: Jpeg = None,
    resize: Resize = None,
    limit: Limit = 0,
    others: Annotated[
        list[str] | None,
        typer.Option(help='"rendered portraits=DIR": images like these get no verdict; may be repeated.'),
    ] = None,
    parser: Parser = "",
):
    """Measure a detector on unaltered images: RUN/reference.json, from which `localize` takes alarms and verdicts."""
    import json

    from wsdl.detectors.pretrained import find_detector
    from wsdl.inference.calibrate import calibrate as run_calibration
    from wsdl.inference.localize import load_localizer

    if wrong := [text for text in others or [] if not all(text.partition("="))]:
        raise typer.BadParameter(f"'{wrong[0]}' is not WHAT=DIR.", param_hint="--others")
    outside = {what: Path(folder) for what, _, folder in (text.partition("=") for text in others or [])}
    found = run_calibration(
        load_localizer(run, parser), find_detector(run), images, domain, fakes or [], jpeg or [75], resize or [0.75],
        limit, outside,
    )  # fmt: skip
    conditions = {
        name: {key: value for key, value in one.items() if not isinstance(value, list)}
        for name, one in found["conditions"].items()
    }
    print(json.dumps({"n": found["n"], "n_fakes": found["n_fakes"], "alarm": found["alarm"], "conditions": conditions}))


@detectors.command()
def alarms(
    folders: Annotated[list[Path], typer.Argument(help="Folders of images, each of one kind: unaltered, or fakes.")],
    detector: Annotated[str, typer.Option(help="A run of train, or a pretrained detector; default: as localize.")] = "",
    jpeg: Jpeg = None,
    resize: Resize = None,
    limit: Limit = 0,
    parser: Parser = "",
):
    """Count how many images of each folder raise an alarm in `localize`; prints a table (CSV)."""
    from wsdl.inference.alarm_rates import alarm_rates

    table = alarm_rates(folders, detector, parser, jpeg or [75], resize or [0.75], limit)
    print(table.to_csv(index=False, float_format="%.4g"), end="")
