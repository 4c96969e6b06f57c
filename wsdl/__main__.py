"""python -m wsdl: assembles the command line. Results go to stdout, progress and messages to stderr.

Exit code 0: done. 1: failed, with one sentence. 2: wrong usage.
"""

import signal
import sys

try:
    import typer
except ModuleNotFoundError:
    sys.exit(
        "wsdl: this Python does not have its dependencies; activate the environment first: `source .venv/bin/activate` "
        "(Windows: `.venv\\Scripts\\activate`), which `bash ci/demo.sh` creates, or run `pip install -e .`"
    )

from wsdl import __version__
from wsdl.commands.bench import bench
from wsdl.commands.data import data
from wsdl.commands.demo import demo
from wsdl.commands.detectors import detectors
from wsdl.commands.evaluate import evaluate
from wsdl.commands.faces import faces
from wsdl.commands.generate import generate
from wsdl.commands.grid import grid
from wsdl.commands.localize import localize
from wsdl.commands.notebooks import notebooks
from wsdl.commands.report import report
from wsdl.commands.train import train, train_generator, train_parser
from wsdl.core.io import WsdlError
from wsdl.core.progress import end_progress_bars
from wsdl.core.ranks import process_count, reports_error

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Weakly supervised localisation of deepfakes: data, generators, detectors, metrics, lessons.",
)
app.command("demo")(demo)
app.add_typer(data, name="data")
app.add_typer(faces, name="faces")
app.add_typer(generate, name="generate")
app.add_typer(train_generator, name="train-generator")
app.command("train-parser")(train_parser)
app.command("train")(train)
app.add_typer(detectors, name="detectors")
app.command("evaluate")(evaluate)
app.command("localize")(localize)
app.add_typer(grid, name="grid")
app.add_typer(report, name="report")
app.add_typer(notebooks, name="notebooks")
app.add_typer(bench, name="bench")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"wsdl {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Options of the command line itself."""


INTERRUPTED = 130  # exit code, as of a shell


def main() -> None:
    if process_count() > 1:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # of torchrun, where another process has ended
    try:
        app()
    except WsdlError as error:
        _prepare_end()
        if reports_error():
            print(f"wsdl: {error}", file=sys.stderr)
        sys.exit(1)
    except UnicodeEncodeError as error:
        print(f"wsdl: {error.object!r} cannot be encoded as {error.encoding}; set PYTHONUTF8=1.", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        _end_interrupted()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer ends like this, without a word, where it is interrupted
            _end_interrupted()
        raise


def _end_interrupted() -> None:
    _prepare_end()
    if reports_error():
        print("wsdl: interrupted; rerun the same command to resume.", file=sys.stderr)
    sys.exit(INTERRUPTED)


def _prepare_end() -> None:
    """The message to come begins a line, and torchrun, which ends all processes after one, does not interrupt it."""
    end_progress_bars()
    if process_count() > 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    main()
