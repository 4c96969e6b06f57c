"""A study is one folder in which the whole story happens: faces, fakes, detectors, scores, lessons.

Each step is "make it or load it": a notebook, the demo and a second call all find what is already there.

OUT/data the dataset · OUT/p2 the generator's run · OUT/runs/NAME a detector's run · OUT/lessons/NAME.json numbers
"""

from dataclasses import replace
from pathlib import Path

from wsdl.config import BUNDLED_SOURCES, DEFAULT_GENERATORS, SOURCES, Fakes, Profile, load_profile
from wsdl.core.io import WsdlError, write_json
from wsdl.data.dataset import Dataset


class Study:
    """Where a study lives and how large it is; its methods make or load one stage each."""

    def __init__(self, out: Path, profile: Profile, source: str, images: str = "", masks: str = "", seed: int = 0,
                 data_seed: int | None = None):  # fmt: skip
        self.out, self.profile, self.seed = Path(out), profile, seed
        self.data_seed = seed if data_seed is None else data_seed  # trainings of several seeds may share one dataset
        self._dataset: Dataset | None = None
        self.source, self.images, self.masks = source, images, masks
        if source not in SOURCES:
            raise WsdlError(f"--source: is '{source}', but must be one of {', '.join(SOURCES)}.")
        if source == "photos" and not images:
            raise WsdlError("--images: missing; the source photos needs a folder of pictures, and --masks theirs.")

    @property
    def bundled(self) -> bool:
        return self.source in BUNDLED_SOURCES

    def faces(self) -> Dataset:
        """The dataset with its real faces, unpacked or prepared if need be. A bundled one has its fakes already."""
        from wsdl.data.prepare import prepare_dataset

        if not (self.out / "data" / "manifest.csv").exists():
            if self.bundled:
                self._unpack()
            else:
                images, masks = self._pictures()
                prepare_dataset(images, masks, self.out / "data", self.profile.size, self.data_seed, self.source)
        return Dataset(self.out / "data")

    def _unpack(self) -> None:
        """The bundled faces, with their fakes unless the profile wants other ones than those."""
        from wsdl.bundle.unpack import copy_dataset, unpack_dataset

        size = Dataset(unpack_dataset(self.source)).size
        if size != self.profile.size:
            raise WsdlError(
                f"--profile {self.profile.name}: wants pictures of {self.profile.size} px, but the bundled faces have "
                f"{size}; set size to {size}, or take --source photos."
            )
        copy_dataset(self.out / "data", self.source, fakes=self.has_fakes)

    @property
    def has_fakes(self) -> bool:
        """Whether the fakes of this profile come with the faces: the bundle's were made as profile `quick` says."""
        wanted = self.profile.fakes
        same = wanted == replace(Fakes(), full=wanted.full, partial=wanted.partial)
        return self.bundled and not self.profile.p2_weights and same

    def _pictures(self) -> tuple[Path, Path | None]:
        if self.source == "photos":
            return Path(self.images), Path(self.masks) if self.masks else None
        from wsdl.faces.drawn_faces import draw_faces

        return draw_faces(self.out / "made-up", self.profile.faces, seed=self.data_seed)

    def generator(self):
        """The P2 generator: named weights, or the small model, trained on this study's faces if need be."""
        from wsdl.generators.diffusion.p2 import load_p2

        self.train_generator()
        return load_p2(self.p2_weights)

    def train_generator(self) -> None:
        """Train the small P2 model, unless it is trained already, is bundled, or the profile names other weights."""
        from wsdl.core.run import is_done
        from wsdl.generators.diffusion.train_p2 import train_p2

        if self.own_generator and not is_done(self.out / "p2"):
            train_p2(self.faces().folder, self.out / "p2", self.profile.generator, seed=self.data_seed)

    @property
    def own_generator(self) -> bool:
        """Whether this study trains its generator itself."""
        return not self.profile.p2_weights and not self.bundled

    @property
    def p2_weights(self) -> str:
        """Where the generator's weights are: a run folder, or what the profile names."""
        from wsdl.bundle.unpack import unpack_p2

        if self.profile.p2_weights or not self.bundled:
            return self.profile.p2_weights or str(self.out / "p2")
        return str(unpack_p2(self.source))

    @property
    def fakes_seed(self) -> int:
        """What fakes are made from: bundled ones are there already, and the data's seed decides the rest alone."""
        return 0 if self.has_fakes else self.data_seed

    def fakes(self) -> Dataset:
        """The dataset with its real faces, full fakes and partial fakes; makes what is missing, at the first call.

        Partial fakes of further generators may lie in the same folder; they are not listed (`Dataset` lists all).
        """
        if self._dataset is None:
            self._dataset = self._make_fakes()
        return self._dataset

    def fakes_by(self, generators: tuple[str, ...]) -> Dataset:
        """The dataset with its partial fakes by `generators`; where it has none, those that come with wsdl are added.

        A study whose own fakes are not the bundle's takes none from there. WsdlError names a generator without fakes.
        """
        from wsdl.bundle.generator_archives import add_fakes, bundled_generators

        folder = self.fakes().folder
        missing = set(generators) - set(Dataset(folder).generators)
        added = missing & set(bundled_generators(self.source)) if self.has_fakes else set()
        for generator in sorted(added):
            add_fakes(folder, self.source, generator)
        if added:
            self._dataset = Dataset(folder, DEFAULT_GENERATORS)  # the manifest is another now
        return Dataset(folder, generators)

    def _make_fakes(self) -> Dataset:
        from wsdl.generators.write_fakes import generate_full, generate_partial

        faces, settings = self.faces(), self.profile.fakes
        self.train_generator()
        generate_full(
            faces.folder,
            self.p2_weights,
            settings.full,
            self.fakes_seed,
            steps=settings.ddim_steps,
            batch=settings.batch,
        )
        generate_partial(
            "repaint-p2",
            faces.folder,
            faces.folder,
            self.p2_weights,
            settings.partial,
            self.fakes_seed,
            batch=settings.batch,
            **settings.schedule,
        )
        return Dataset(faces.folder, DEFAULT_GENERATORS)

    def run_folder(self, method: str, setup: str, generators: tuple[str, ...] = DEFAULT_GENERATORS) -> Path:
        generator = "p2" if setup == "a" else "+".join(generators)
        return self.out / "runs" / f"{method}-{setup}-{generator}-{self.source}-s{self.seed}"

    def detector(self, method: str, setup: str, generators: tuple[str, ...] = DEFAULT_GENERATORS):
        """The trained detector of one method and setup, trained if need be.

        generators: whose partial fakes setups b and c see. WsdlError where some of them have made none.
        """
        from wsdl.core.run import is_done
        from wsdl.detectors import load_detector
        from wsdl.training.detector import train

        folder = self.run_folder(method, setup, generators)
        if not is_done(folder):
            data, settings = self.fakes().folder, self.profile.training(method)
            train(method, setup, data, folder, self.seed, settings, generators)
        return load_detector(folder)

    def scores(self, method: str, setup: str, generators: tuple[str, ...] = DEFAULT_GENERATORS) -> dict:
        """metrics.json of one method and setup on fakes of `generators`, made if need be."""
        from wsdl.evaluation.evaluate import evaluate

        self.detector(method, setup, generators)
        return evaluate(self.run_folder(method, setup, generators), self.out / "data", generators=generators)

    def maps(self, pictures, setups: str = "abc") -> dict:
        """What every detector of this study sees in pictures uint8 [n, S, S, 3]: "patches, a" -> float32 [n, h, w]."""
        return {
            f"{method}, {setup}": self.detector(method, setup).predict(pictures).maps
            for method in self.profile.methods
            for setup in setups
        }

    def table(self, setups: str = "abc"):
        """The scores of every detector of this study, then the baselines: `results_table`."""
        from wsdl.evaluation.evaluate import results_table

        return results_table([self.scores(method, setup) for method in self.profile.methods for setup in setups])

    def finish(self, lesson: str, **numbers) -> None:
        """Write what a lesson found to OUT/lessons/LESSON.json: success is what is written here."""
        write_json(self.out / "lessons" / f"{lesson}.json", numbers)
        print(f"{lesson}: done")


def open_study(
    out: str, profile: str = "quick", source: str = "studio", images: str = "", masks: str = "", seed: int = 0
):
    """Open a study and print what its numbers depend on: versions, device, profile, seed."""
    from wsdl.core.run import describe_environment, run_environment

    study = Study(Path(out), load_profile(profile), source, images, masks, seed)
    print(describe_environment(run_environment()))
    print(f"profile {study.profile.name} ({study.profile.purpose}), source {source}, seed {seed}")
    print(f"study {study.out}")
    return study
