"""The generators of a study besides P2: repaint-ldm, lama and pluralistic.

They come with the bundled faces. For other faces, the setting `further` of the profile names those to train, about an
hour each on two cores.
"""

from pathlib import Path

from wsdl.config import DEFAULT_GENERATORS, EXTRA_GENERATORS
from wsdl.core.io import WsdlError
from wsdl.core.run import is_done
from wsdl.data.dataset import Dataset
from wsdl.experiments.study import Study
from wsdl.experiments.study_checks import check_run

LDM = "repaint-ldm"


def generator_runs(study: Study) -> dict[str, Path]:
    """Name -> run folder of each generator besides P2; trains those of the profile that are missing.

    Empty where none come with the faces and the profile names none.
    """
    from wsdl.bundle.generator_archives import bundled_generators, unpack_generator

    if study.has_bundled_fakes:
        return {
            name.removesuffix("-clean"): unpack_generator(study.source, name)
            for name in bundled_generators(study.source)
        }
    return {name: _train_generator(study, name) for name in EXTRA_GENERATORS if name in study.profile.further}


def study_generator(study: Study, name: str):
    """Load one generator of `study` besides P2. WsdlError where the study has none of that name."""
    from wsdl.generators.registry import load_generator

    runs = generator_runs(study)
    if name not in runs:
        raise WsdlError(
            f'no {name} comes with the faces of {study.source}; let the profile train it: "further": ["{name}"].'
        )
    return load_generator(name, runs[name])


def _train_generator(study: Study, name: str) -> Path:
    """STUDY/NAME, a finished run; trains it on the real faces of the study if missing."""
    from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining, train_autoencoder
    from wsdl.generators.diffusion.train_ldm import LDMTraining, train_ldm
    from wsdl.generators.inpainting.train import InpainterTraining, train_inpainter

    out, data = study.out / name, study.faces().folder
    images, seed = study.profile.further_images, study.data_seed
    if is_done(out):
        check_run(out, {"images": images, "seed": seed})
        return out
    if name == LDM:
        train_autoencoder(data, study.out / "autoencoder", AutoencoderTraining(images), seed=seed)
        train_ldm(data, study.out / "autoencoder", out, LDMTraining(images), seed=seed)
    else:
        train_inpainter(name, data, out, InpainterTraining(images), seed=seed)
    return out


def all_fakes(study: Study) -> Dataset:
    """The dataset with the partial fakes of every generator of `study`, in the same regions; makes what is missing.

    Of Repaint-LDM the clean variant is used. Fakes that the user added to the dataset are listed too.
    """
    from wsdl.bundle.generator_archives import bundled_generators
    from wsdl.generators.write_fakes import generate_partial

    if study.has_bundled_fakes:
        folder = study.fakes_by((*DEFAULT_GENERATORS, *bundled_generators(study.source))).folder
        return study.fakes_by(Dataset(folder).generators)
    data, wanted, seed = study.fakes().folder, study.profile.fakes, study.fakes_seed
    for name, run in generator_runs(study).items():
        clean, sampling = (f"{name}-clean", wanted.schedule) if name == LDM else (name, {})
        generate_partial(clean, data, data, run, wanted.partial, seed, batch=wanted.batch, **sampling)
    return study.fakes_by(Dataset(data).generators)
