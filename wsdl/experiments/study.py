"""A study: one folder with faces, fakes, detectors, scores and executed lessons.

Each step loads what exists and makes what is missing, so that a notebook, the demo and a second call share their work.

OUT/study.json, profile.json what was asked · OUT/data the dataset · OUT/p2 the run of the generator ·
OUT/runs/NAME the run of a detector · OUT/lessons/NAME.json the numbers of a lesson · OUT/logs/NAME.log
"""

from dataclasses import replace
from pathlib import Path

from wsdl.config import BUNDLED_SOURCES, DEFAULT_GENERATORS, FULL_GENERATORS, OURS, SETUPS, USER_SOURCES, Fakes, Profile
from wsdl.core.io import WsdlError, write_json
from wsdl.core.progress import print_stderr
from wsdl.core.run import check_same_config, is_done
from wsdl.data.dataset import Dataset
from wsdl.experiments import study_checks as checks


class Study:
    """A folder and the settings of what it holds. Its methods make or load one stage each.

    data_seed: the seed of faces and fakes, by default `seed`; trainings of several seeds may share one dataset.
    variant: part of the names of its runs, where detectors with several settings share one dataset.
    """

    def __init__(self, out: Path, profile: Profile, source: str, images: str = "", masks: str = "", seed: int = 0,
                 data_seed: int | None = None, variant: str = ""):  # fmt: skip
        self.out, self.data, self.profile, self.seed = Path(out), Path(out) / "data", profile, seed
        self.data_seed = seed if data_seed is None else data_seed
        self._dataset: Dataset | None = None
        self.source, self.images, self.masks, self.variant = source, images, masks, variant
        checks.check_source(source, has_images=bool(images) or self.has_faces)

    @property
    def has_faces(self) -> bool:
        """Whether the dataset of this study exists."""
        return (self.data / "manifest.csv").exists()

    @property
    def is_bundled(self) -> bool:
        """Whether the faces come with wsdl."""
        return self.source in BUNDLED_SOURCES

    @property
    def has_bundled_fakes(self) -> bool:
        """Whether the fakes come with the faces: those of the bundle were made with the settings of `quick`."""
        wanted = self.profile.fakes
        same = wanted == replace(Fakes(), full=wanted.full, partial=wanted.partial, sampler=wanted.sampler)
        return self.is_bundled and not self.profile.p2_weights and same

    @property
    def fakes_seed(self) -> int:
        """The seed of the fakes: 0 for bundled ones, else the seed of the data."""
        return 0 if self.has_bundled_fakes else self.data_seed

    @property
    def sampler(self) -> str:
        """The sampler of the full fakes: that of the profile, or ddim where no others come with the faces."""
        from wsdl.bundle.generator_archives import archived_fakes

        wanted = self.profile.fakes.sampler
        comes_along = FULL_GENERATORS[wanted] in archived_fakes(self.source)
        return wanted if comes_along or not self.has_bundled_fakes else "ddim"

    def faces(self) -> Dataset:
        """The dataset with its real faces; unpacks or prepares them if missing. Bundled faces may include fakes."""
        if not self.has_faces:
            if self.is_bundled:
                self._unpack()
            else:
                self._prepare()
        dataset = Dataset(self.data)
        check_same_config(dataset.folder, {"size": dataset.size}, {"size": self.profile.size})
        return dataset

    def _unpack(self) -> None:
        """Copy the bundled faces, with their fakes unless the profile wants others."""
        from wsdl.bundle.unpack import copy_dataset, unpack_dataset

        size = Dataset(unpack_dataset(self.source)).size
        if size != self.profile.size:
            raise WsdlError(
                f"--profile {self.profile.name}: wants images of {self.profile.size} px, but the bundled faces have "
                f"{size}; set size to {size}, or take --source photos."
            )
        copy_dataset(self.data, self.source, fakes=self.has_bundled_fakes)

    def _prepare(self) -> None:
        """Prepare the photographs of the user, or draw faces."""
        from wsdl.data.prepare import prepare_dataset
        from wsdl.faces.drawn_faces import draw_faces

        if self.source in USER_SOURCES:
            images, masks = Path(self.images), Path(self.masks) if self.masks else None
        else:
            images, masks = draw_faces(self.out / "made-up", self.profile.faces, seed=self.data_seed)
        prepare_dataset(images, masks, self.data, self.profile.size, self.data_seed, self.source)

    def fakes(self) -> Dataset:
        """The dataset with its real faces, full fakes and partial fakes; makes what is missing, at the first call.

        The full fakes are those that setup A trains on. Fakes of other generators in the same folder are not listed
        (`Dataset` lists all).
        """
        if not self._dataset:
            if self.has_bundled_fakes:
                self._add_bundled((FULL_GENERATORS[self.sampler],))
            else:
                self._make_fakes()
            if self.sampler != self.profile.fakes.sampler:
                print_stderr(f"{self.source}: comes without full fakes by {self.profile.fakes.sampler}; setup A trains "
                             f"on those by {self.sampler}.")  # fmt: skip
            self._dataset = self._open(DEFAULT_GENERATORS)
        return self._dataset

    def _open(self, generators: tuple[str, ...]) -> Dataset:
        """The dataset with the partial fakes of `generators`, and the full fakes of this study if it has any."""
        full = (FULL_GENERATORS[self.sampler],) if self.profile.fakes.full else ()
        return Dataset(self.data, (*generators, *full))

    def _add_bundled(self, generators: tuple[str, ...]) -> None:
        """Add the fakes of those `generators` that come with the faces and are not in the dataset."""
        from wsdl.bundle.generator_archives import add_fakes, archived_fakes

        folder = self.faces().folder
        missing = set(generators) - set(Dataset(folder).table.generator)
        for generator in sorted(missing & set(archived_fakes(self.source))):
            add_fakes(folder, self.source, generator)

    def fakes_by(self, generators: tuple[str, ...]) -> Dataset:
        """The dataset with the partial fakes of `generators`; adds those that come with wsdl where they are missing.

        Bundled fakes are not added to a study whose own fakes differ from them. WsdlError names a generator without
        fakes.
        """
        self.fakes()
        if self.has_bundled_fakes:
            self._add_bundled(generators)
            self._dataset = self._open(DEFAULT_GENERATORS)  # the manifest may have changed
        return self._open(generators)

    def _make_fakes(self) -> None:
        from wsdl.generators.write_fakes import generate_full, generate_partial

        data, wanted, seed = self.faces().folder, self.profile.fakes, self.fakes_seed
        self.train_p2()
        full = {"steps": wanted.ddim_steps, "batch": wanted.batch, "sampler": wanted.sampler}
        generate_full(data, self.p2_weights, wanted.full, seed, **full)
        generate_partial(
            "repaint-p2", data, data, self.p2_weights, wanted.partial, seed, batch=wanted.batch, **wanted.schedule
        )

    @property
    def trains_p2(self) -> bool:
        """Whether this study trains its P2 model itself."""
        return not self.profile.p2_weights and not self.is_bundled

    @property
    def p2_weights(self) -> str:
        """The weights of P2: a run folder, or what the profile names."""
        from wsdl.bundle.unpack import unpack_p2

        if self.profile.p2_weights or not self.is_bundled:
            return self.profile.p2_weights or str(self.out / "p2")
        return str(unpack_p2(self.source))

    def generator(self):
        """The P2 model, trained on the faces of this study if need be."""
        from wsdl.generators.diffusion.p2 import load_p2

        self.train_p2()
        return load_p2(self.p2_weights)

    def train_p2(self) -> None:
        """Train the small P2 model, unless it is trained or bundled, or the profile names weights."""
        from wsdl.generators.diffusion.train_p2 import train_p2

        if not self.trains_p2:
            return
        run, settings = self.out / "p2", self.profile.generator
        if is_done(run):
            checks.check_run(run, vars(settings) | {"seed": self.data_seed})
        else:
            train_p2(self.faces().folder, run, settings, seed=self.data_seed)

    def run_folder(self, method: str, setup: str, generators: tuple[str, ...] = DEFAULT_GENERATORS) -> Path:
        """The run folder of the detector of one method and setup."""
        generator = "+".join(self.trained_on(setup, generators))
        name = "-".join(filter(None, (method, setup, generator, self.source, self.variant, f"s{self.seed}")))
        return self.out / "runs" / name

    def trained_on(self, setup: str, generators: tuple[str, ...]) -> tuple[str, ...]:
        """The generators whose fakes a detector is trained on: `generators`, or in setup a that of the full fakes."""
        return (FULL_GENERATORS[self.sampler],) if SETUPS[setup].fakes == "full" else generators

    def detector(self, method: str, setup: str, generators: tuple[str, ...] = DEFAULT_GENERATORS):
        """The trained detector of one method and setup; trains it if missing.

        generators: whose partial fakes setups b and c train on. WsdlError where one of them has no fakes, or where the
        run was trained with other settings than those of this study.
        """
        from wsdl.detectors import load_detector
        from wsdl.training.detector import train_detector

        folder, settings = self.run_folder(method, setup, generators), self.profile.training(method)
        used = self.trained_on(setup, generators)
        if is_done(folder):
            checks.check_detector_run(folder, method, setup, self.seed, settings, used, self.data)
        else:
            start = self._start(method, setup, generators)
            train_detector(method, setup, self.fakes().folder, folder, self.seed, settings, used, start)
        return load_detector(folder)

    def _start(self, method: str, setup: str, generators: tuple[str, ...]) -> str:
        """What the training starts from: `start` of the profile, or the run of Patches-MIL in the same setup."""
        start = self.profile.training(method).start
        if start != OURS or method == OURS:
            return start
        self.detector(OURS, setup, generators)
        return str(self.run_folder(OURS, setup, generators))

    def scores(self, method: str, setup: str, generators: tuple[str, ...] = DEFAULT_GENERATORS) -> dict:
        """metrics.json of the detector of one method and setup, on the test fakes of `generators`."""
        from wsdl.evaluation.evaluate import evaluate

        self.detector(method, setup, generators)
        return evaluate(self.run_folder(method, setup, generators), self.data, generators=generators)

    def maps(self, images, setups: str = "abc") -> dict:
        """The maps of every detector of this study: "patches, a" -> float32 [n, h, w], of images uint8 [n, S, S, 3]."""
        return {
            f"{method}, {setup}": self.detector(method, setup).predict(images).maps
            for method in self.profile.methods
            for setup in setups
        }

    def table(self, setups: str = "abc"):
        """The scores of every detector of this study, then those of the baselines, as a data frame."""
        from wsdl.evaluation.evaluate import scores_table

        return scores_table([self.scores(method, setup) for method in self.profile.methods for setup in setups])

    def finish(self, lesson: str, **numbers) -> None:
        """Write the numbers of a lesson to OUT/lessons/LESSON.json."""
        write_json(self.out / "lessons" / f"{lesson}.json", numbers)
        print(f"{lesson}: done")
