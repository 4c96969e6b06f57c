"""The generators of a study beside P2: those that come with its faces, or that its profile has it train.

`repaint-ldm`, `lama` and `pluralistic` are each an hour of training; a study of the bundled faces finds them trained.
"""

from pathlib import Path

from wsdl.config import DEFAULT_GENERATORS, EXTRA_GENERATORS
from wsdl.core.io import WsdlError
from wsdl.core.run import is_done
from wsdl.data.dataset import Dataset
from wsdl.experiments.study import Study

LDM = "repaint-ldm"


def generator_runs(study: Study) -> dict[str, Path]:
    """The run folder of each further generator: name -> what `load` takes. Trains what is missing (see `FURTHER`).

    Empty where none come with the faces and the profile names none.
    """
    from wsdl.bundle.generator_archives import bundled_generators, unpack_generator

    if study.has_fakes:
        return {
            name.removesuffix("-clean"): unpack_generator(study.source, name)
            for name in bundled_generators(study.source)
        }
    return {name: _train_generator(study, name) for name in EXTRA_GENERATORS if name in study.profile.further}


def study_generator(study: Study, name: str):
    """One further generator of `study`, loaded. WsdlError where there is none."""
    from wsdl.generators.registry import load_generator

    there = generator_runs(study)
    if name not in there:
        raise WsdlError(
            f'no {name} comes with the faces of {study.source}; let the profile train it: "further": ["{name}"].'
        )
    return load_generator(name, there[name])


def _train_generator(study: Study, name: str) -> Path:
    """STUDY/NAME, a finished run: trained on the study's real faces if need be."""
    from wsdl.generators.diffusion.train_autoencoder import AutoencoderTraining, train_autoencoder
    from wsdl.generators.diffusion.train_ldm import LDMTraining, train_ldm
    from wsdl.generators.inpainting.train import InpainterTraining, train_inpainter

    out, data = study.out / name, study.faces().folder
    images, seed = study.profile.further_images, study.data_seed
    if is_done(out):
        return out
    if name == LDM:
        train_autoencoder(data, study.out / "autoencoder", AutoencoderTraining(images), seed=seed)
        train_ldm(data, study.out / "autoencoder", out, LDMTraining(images), seed=seed)
    else:
        train_inpainter(name, data, out, InpainterTraining(images), seed=seed)
    return out


def all_fakes(study: Study) -> Dataset:
    """The dataset with the partial fakes of P2 and of every further generator, in the same masks; makes those missing.

    Of Repaint-LDM these are the clean ones: `repaint-ldm-clean`. Fakes that somebody made there are listed too.
    """
    from wsdl.bundle.generator_archives import bundled_generators
    from wsdl.generators.write_fakes import generate_partial

    if study.has_fakes:
        return Dataset(study.fakes_by((*DEFAULT_GENERATORS, *bundled_generators(study.source))).folder)
    data, wanted, seed = study.fakes().folder, study.profile.fakes, study.fakes_seed
    for name, run in generator_runs(study).items():
        clean, sampling = (f"{name}-clean", wanted.schedule) if name == LDM else (name, {})
        generate_partial(clean, data, data, run, wanted.partial, seed, batch=wanted.batch, **sampling)
    return Dataset(data)
