"""A generator's run as the bundle keeps it: what loading it needs, and its weights in fp16."""

from pathlib import Path

from safetensors.torch import load_file, save

from wsdl.bundle.unpack import MAX_MEMBER
from wsdl.core.io import WsdlError, atomic, read_json
from wsdl.core.run import MODEL_FILE, is_done
from wsdl.generators.diffusion.autoencoder import NEEDED
from wsdl.generators.diffusion.ldm import AUTOENCODER, is_run

RUN = ("config.json", MODEL_FILE, "run.json")  # what makes a run a generator; its trainer state and samples stay behind


def run_files(folder: Path) -> dict[str, bytes]:
    """The files of a finished run of `train-generator` by name, all weights in fp16; of ldm its autoencoder's too."""
    folder = Path(folder)
    names = [*(f"{AUTOENCODER}/{name}" for name in NEEDED if is_run(folder)), *RUN]
    for name in names:
        if not (folder / name).exists():
            raise WsdlError(f"{folder / name}: no such file; give a finished run of `train-generator`.")
    if not is_done(folder):
        raise WsdlError(f"{folder}: is not finished; run its train-generator command again.")
    return {name: half(folder / name) if name.endswith(MODEL_FILE) else (folder / name).read_bytes() for name in names}


def half(path: Path) -> bytes:
    """The weights at `path` with all floating tensors in fp16, as safetensors. Those already in fp16 stay as they are.

    WsdlError where a number is beyond fp16.
    """
    tensors = {name: value.half() if value.is_floating_point() else value for name, value in load_file(path).items()}
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise WsdlError(
                f"{path}: {name} has numbers beyond fp16 (65,504) or none at all; train the generator again."
            )
    packed = save(tensors)
    if len(packed) > MAX_MEMBER:
        raise WsdlError(
            f"{path}: has {len(packed):,} bytes in fp16, more than {MAX_MEMBER:,}; train a narrower network."
        )
    return packed


def halve(run: Path, out: Path) -> None:
    """Write the run `run` to `out` as the bundle will hold it: fakes for the bundle must be made with these weights."""
    for name, data in run_files(run).items():
        with atomic(Path(out) / name) as temporary:
            temporary.write_bytes(data)


def made_with(recipe: Path, packed: str) -> None:
    """WsdlError where the fakes of this recipe were made with other weights than those packed, by their fingerprints:
    they could not be made again.
    """
    made = read_json(recipe).get("weights", packed)
    if made != packed:
        raise WsdlError(
            f"{recipe}: these fakes were made with weights of sha256 {made[:12]}..., but the bundle will hold "
            f"{packed[:12]}...; make them with the run that `data halve` writes."
        )
