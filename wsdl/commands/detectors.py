"""`python -m wsdl detectors`: detectors that were trained elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from wsdl.commands.options import Out

detectors = typer.Typer(no_args_is_help=True, help="Detectors that were trained elsewhere.")


@detectors.callback()
def _group() -> None:
    """Keep the name of the only subcommand."""


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
