"""Import published weights of the paper's Patches as a run folder, so that they can be evaluated without training."""

from dataclasses import asdict
from pathlib import Path

import torch

from wsdl.core.io import WsdlError, sha256
from wsdl.core.locks import one_writer
from wsdl.core.run import Run
from wsdl.core.weights import save_model
from wsdl.detectors import build_detector, network_options
from wsdl.detectors.initialization import read_tensors
from wsdl.profiles import load_profile

_WANTED = "weights of the paper's Patches (Xception up to block2, and convout)"
_GENERATORS = {"a": "p2", "b": "repaint-p2-9k", "c": "repaint-p2"}  # of the fakes that the paper trained on


@one_writer("out")
def import_dolos(file: Path, out: Path, setup: str = "c") -> None:
    """Write the weights in `file` to the run folder `out`, as a Patches detector of `setup` trained as in the paper.

    Nothing in the file names the setup. The image scores and maps of all three are made alike, but in A and B images
    are resized by LANCZOS, and detectors of C may not be a start for the other two. WsdlError where tensors are missing
    or of another shape, where there are others, or where `out` holds another run.
    """
    settings = load_profile("full").patches
    model = build_detector("patches", setup, **network_options(asdict(settings)))
    _load(model, Path(file))
    images, batch, _ = settings.amounts(setup)
    config = {
        "method": "patches",
        "setup": setup,
        "source": "celebahq",
        "size": 256,
        "generator": _GENERATORS[setup],
        "images": images,
        "batch": batch,
        "seed": 0,
        "start": f"imported from {Path(file).name} {sha256(Path(file))[:12]}",
        "settings": asdict(settings),
    }
    run = Run(out, config, growing=())
    save_model(model, run.folder)
    run.report("done")


def _load(model: torch.nn.Module, file: Path) -> None:
    """Load the tensors of `file`: its names are those of `model`, without "features.", and "convout." for "head."."""
    if not file.is_file():
        raise WsdlError(f"{file}: no such file; give {_WANTED}.")
    given = read_tensors(file, _WANTED)
    own = {_published_name(name): (name, tensor) for name, tensor in model.state_dict().items()}
    counters = {published for published, (_, tensor) in own.items() if not tensor.ndim}  # older files have none
    problems = [f"{name} is missing" for name in own if name not in given and name not in counters]
    problems += [f"{name} is unknown" for name in given if name not in own]
    problems += [
        f"{name} has the shape {tuple(given[name].shape)}, not {tuple(tensor.shape)}"
        for name, (_, tensor) in own.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems += [
        f"{name} holds NaN or infinite values"
        for name, tensor in given.items()
        if tensor.is_floating_point() and not tensor.isfinite().all()
    ]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise WsdlError(f"{file}: {problems[0]}{more}; give {_WANTED}.")
    model.load_state_dict({own[name][0]: tensor for name, tensor in given.items()}, strict=False)


def _published_name(name: str) -> str:
    return name.removeprefix("features.").replace("head.", "convout.")
