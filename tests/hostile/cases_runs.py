"""Bad runs, weights, profiles and numbers."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import torch
from bad_input import BadInput
from safetensors.torch import load_file, save

Spoil = Callable[[Path], object]  # spoil(place)
MODEL = "model.safetensors"


def write(name: str, content: bytes | str) -> Spoil:
    return lambda place: (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def write_json(name: str, value) -> Spoil:
    return write(name, json.dumps(value))


def change_json(name: str, **changes) -> Spoil:
    """Change keys of the object in place/name; a value of ... deletes the key."""

    def change(place: Path) -> None:
        content = json.loads((place / name).read_text()) | changes
        (place / name).write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))

    return change


def truncate(name: str) -> Spoil:
    return lambda place: (place / name).write_bytes((place / name).read_bytes()[:-100])


def change_tensors(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Spoil:
    """Change the first floating-point tensor of place/name."""

    def spoil(place: Path) -> None:
        tensors = load_file(place / name)
        first = next(key for key, value in tensors.items() if value.is_floating_point() and value.ndim)
        (place / name).write_bytes(save(tensors | {first: change(tensors[first])}))

    return spoil


def save_pickle(name: str, value) -> Spoil:
    return lambda place: (place / name).write_bytes(pickle.dumps(value))


def remove(name: str) -> Spoil:
    return lambda place: (place / name).unlink()


def damages(name: str) -> dict[str, tuple[str, Spoil]]:
    """Ways to damage the weights at place/name, each with the answer."""
    no_weights = "is no valid file of weights .*; train it again"
    return {
        "empty": (no_weights, write(name, b"")),
        "truncated": (no_weights, truncate(name)),
        "pickled": (no_weights, save_pickle(name, {"weight": [1.0]})),
        "of-text": (no_weights, write(name, "weights")),
        "of-another-shape": ("does not fit the network", change_tensors(name, lambda tensor: tensor[..., None])),
        "nan": ("holds NaN or infinite values", change_tensors(name, lambda tensor: tensor * float("nan"))),
        "infinite": ("holds NaN or infinite values", change_tensors(name, lambda tensor: tensor / 0)),
    }


EVALUATE, LOCALIZE = "evaluate {run} --data {data}", "localize {images} --detector {run} --out {out}"
GENERATE = "generate p2 --weights {p2} --count 1 --out {out}"
TRAIN = "train --setup c --data {data} --profile {place}/mine.json --out {out}"
DEMO = "demo --source made-up --profile {place}/mine.json --out {out}"
DAMAGED = {"evaluate": (EVALUATE, f"run/{MODEL}"), "localize": (LOCALIZE, f"run/{MODEL}"),
           "generate": (GENERATE, f"p2/{MODEL}")}  # fmt: skip

WEIGHTS = [
    BadInput(f"{verb}-with-weights-{how}", command, f"{name}: .*{answer}", spoil)
    for verb, (command, name) in DAMAGED.items()
    for how, (answer, spoil) in damages(name).items()
]

CONFIGS = [
    BadInput(f"{verb}-with-a-config-{how}", command, answer, spoil)
    for verb, command in {"evaluate": EVALUATE, "localize": LOCALIZE}.items()
    for how, answer, spoil in (
        ("of-a-list", r"config\.json: is \[\], but must be", write_json("run/config.json", [])),
        ("cut-short", r"config\.json: is not valid JSON", write("run/config.json", '{"method": "pat')),
        ("without-setup", r"config\.json: does not describe a run of `train` \(no 'setup'\)",
         change_json("run/config.json", setup=...)),
        ("with-a-huge-input", r"config\.json: input_size is 100000, but must be a whole number from 8",
         change_json("run/config.json", settings={"input_size": 100_000})),
        ("with-an-input-of-text", "input_size is 'big'",
         change_json("run/config.json", settings={"input_size": "big"})),
        ("of-another-method", "is 'telepathy', but must be one of patches",
         change_json("run/config.json", method="telepathy")),
    )
]  # fmt: skip

RUNS = [
    BadInput("evaluate-a-folder-of-runs", "evaluate {run}/.. --data {data}", r"is a folder of runs; .*\.\./run\."),
    BadInput("evaluate-nothing", "evaluate {place}/none --data {data}", r"none/config\.json: no such file"),
    BadInput("evaluate-an-untrained-run", EVALUATE, f"run: holds no {MODEL}; train it", remove(f"run/{MODEL}")),
    BadInput("evaluate-a-run-without-seed", EVALUATE, r"config\.json: has no seed",
             change_json("run/config.json", seed=...)),
    BadInput("evaluate-a-generator", "evaluate {p2} --data {data}", "does not describe a run of `train`"),
    BadInput("evaluate-a-file", "evaluate {place}/run --data {data}", "run", write("run", "a file")),
    BadInput("evaluate-by-an-unknown-preset", EVALUATE + " --preset best", "--preset: is 'best', but must be"),
    BadInput("evaluate-an-unknown-generator", EVALUATE + " --generators magic", "no partial fakes by 'magic'"),
    BadInput("robustness-with-nan-weights", EVALUATE + " --robustness", "holds NaN",
             change_tensors(f"run/{MODEL}", lambda tensor: tensor * float("nan"))),
    BadInput("localize-with-a-generator", LOCALIZE.replace("{run}", "{p2}"), "p2: is no run of `train`"),
    BadInput("localize-with-nothing", LOCALIZE.replace("{run}", "none"), "none: no such detector; pretrained are"),
]  # fmt: skip

GENERATORS = [
    BadInput("generate-with-a-config-of-a-list", GENERATE, r"config\.json: is \[\]", write_json("p2/config.json", [])),
    BadInput("generate-without-channels", GENERATE, "no U-Net could be loaded|holds no trained weights",
             change_json("p2/config.json", channels=...)),
    BadInput("generate-with-huge-channels", GENERATE, r"config\.json: channels is \[1000000000\]",
             change_json("p2/config.json", channels=[10**9])),
    BadInput("generate-with-a-size-of-text", GENERATE, r"config\.json: size is 'x'",
             change_json("p2/config.json", size="x")),
    BadInput("generate-without-patch", GENERATE, r"config\.json: .*\(no 'patch'\)",
             change_json("p2/config.json", patch=...)),
    BadInput("generate-with-a-detector", "generate p2 --weights {run} --out {out}", "run: "),
    BadInput("generate-lama-with-p2", "generate lama --weights {p2} --data {data} --out {out}", "p2: is .*not of lama"),
    BadInput("generate-lama-with-an-empty-file", "generate lama --weights {place}/w.pt --data {data} --out {out}",
             r"w\.pt: is no TorchScript file", write("w.pt", b"")),
    BadInput("generate-lama-with-a-pickle", "generate lama --weights {place}/w.pt --data {data} --out {out}",
             r"w\.pt: is no TorchScript file", save_pickle("w.pt", [1])),
    BadInput("generate-stable-without-weights", "generate sd-inpaint --data {data} --out {out}", "--weights: missing"),
    BadInput("generate-stable-with-guidance-nan",
             "generate sd-inpaint --weights {p2} --data {data} --guidance nan --out {out}", "guidance is nan"),
    BadInput("start-from-a-detector", "train-generator p2 --data {data} --start {run} --out {out}",
             "run: holds no trained weights"),
    BadInput("start-from-damaged-weights", "train-generator p2 --data {data} --start {p2} --out {out}",
             "p2: has channels|is no valid file of weights", truncate(f"p2/{MODEL}")),
    BadInput("ldm-without-autoencoder", "train-generator ldm --data {data} --autoencoder {p2} --out {out}",
             "p2: holds no trained autoencoder"),
    BadInput("train-parser-on-a-run", "train-parser --data {run} --images 8 --out {out}", "run"),
]  # fmt: skip

NUMBERS = [
    BadInput("too-many-full-fakes", "generate p2 --weights {p2} --count 1000000000 --out {out}",
             "count is 1000000000, but must be a whole number from 1 to 10,000,000"),
    BadInput("too-many-bundled-fakes", "generate p2 --count 1000000000 --out {out}", "count is 1000000000"),
    BadInput("too-many-partial-fakes", "generate repaint-p2 --data {data} --weights {p2} --count 99999999",
             "count is 99999999"),
    BadInput("too-large-a-batch", GENERATE + " --batch 100000", "batch is 100000, but must be"),
    BadInput("too-many-steps", GENERATE + " --steps 1001", "steps is 1001, but must be a whole number from 1 to 1,000"),
    BadInput("too-large-a-seed", GENERATE + f" --seed {10**30}", "seed is 1000"),
    BadInput("no-fakes", GENERATE.replace("--count 1", "--count 0"), "Invalid value for '--count'", exit_code=2),
    BadInput("steps-below-0", GENERATE + " --steps -3", "Invalid value for '--steps'", exit_code=2),
    BadInput("count-is-nan", GENERATE.replace("--count 1", "--count nan"), "Invalid value for '--count'", exit_code=2),
    BadInput("prepare-at-a-huge-size", "data prepare --images {images} --masks {masks} --size 100000 --out {out}",
             "size is 100000, but must be a whole number from 8 to 4,096"),
    BadInput("train-with-a-huge-seed", TRAIN + f" --seed {10**30}", "seed is 1000", write_json("mine.json", {})),
    BadInput("train-parser-without-images", "train-parser --data {data} --images 0 --out {out}",
             "Invalid value for '--images'", exit_code=2),
    *(BadInput(f"repaint-with-T-{levels}",
               f"generate repaint-p2 --data {{data}} --weights {{p2}} --T {levels} --out {{out}}",
               f"T is {levels}, but must divide 1000, .*; choose {nearest}")
      for levels, nearest in ((1, "4"), (300, "250 or 500"), (501, "500 or 1000"), (2000, "1000"))),
]  # fmt: skip

SETTINGS = {  # of the profile, with the answer
    "batch": ({"patches": {"batch_c": 0}}, r"mine\.json: patches: batch_c is 0, but must be"),
    "images": ({"patches": {"images_c": 0}}, "images_c is 0"),
    "check": ({"patches": {"check_every": 0}}, "check_every is 0"),
    "rate-of-nan": ({"patches": {"rate_c": float("nan")}}, "rate_c is nan"),
    "rate-of-infinity": ({"patches": {"rate_c": float("inf")}}, "rate_c is inf"),
    "augment": ({"patches": {"augment": 7.0}}, "augment is 7.0, but must be from 0 to 1"),
    "ema": ({"patches": {"ema_decay": 5.0}}, "ema_decay is 5.0, but must be from 0 to below 1"),
    "input": ({"patches": {"input_size": 100_000}}, "input_size is 100000"),
    "big-batch": ({"patches": {"batch_c": 10**9}}, "batch_c is 1000000000"),
    "size": ({"size": 100_000}, "size is 100000, but must be a whole number from 8 to 4,096"),
    "fakes": ({"fakes": {"partial": 10**9}}, "fakes: partial is 1000000000"),
    "levels": ({"fakes": {"T": 0}}, "fakes: T is 0"),
    "channels": ({"generator": {"channels": [0]}}, r"channels is \(0,\)"),
    "unknown": ({"patches": {"epochs": 3}}, "unknown setting 'epochs'; valid are"),
    "type": ({"patches": {"batch_c": "8"}}, "batch_c is '8', but must be of type int"),
    "list": ([], r"mine\.json: is \[\], but must be settings"),
    "number": (7, r"mine\.json: is 7, but must be settings"),
    "start": ({"patches": {"start": "nowhere.pth"}}, r"nowhere\.pth: no such file; start must be scratch"),
    "methods": ({"methods": ["magic"]}, "--methods: is 'magic'"),
    "further": ({"further": ["magic"]}, "further names 'magic'"),
}
PROFILES = [
    *(BadInput(f"train-profile-{name}", TRAIN, answer, write_json("mine.json", value))
      for name, (value, answer) in SETTINGS.items()),
    *(BadInput(f"demo-profile-{name}", DEMO, SETTINGS[name][1], write_json("mine.json", SETTINGS[name][0]))
      for name in ("size", "fakes", "channels", "methods", "list")),
    BadInput("demo-with-levels-that-are-no-noise", DEMO, "T is 300, but must divide 1000",
             write_json("mine.json", {"size": 32, "faces": 8, "fakes": {"T": 300}})),
    BadInput("profile-of-bytes", TRAIN, r"mine\.json: is not a text in UTF-8", write("mine.json", b"\xff\xfe\x00")),
    BadInput("profile-is-empty", TRAIN, r"mine\.json: is not valid JSON", write("mine.json", b"")),
    BadInput("profile-is-missing", TRAIN, r"mine\.json: no such profile"),
    BadInput("train-in-an-unknown-setup", TRAIN.replace("--setup c", "--setup z"), "--setup: is 'z'",
             write_json("mine.json", {})),
    BadInput("train-by-an-unknown-method", TRAIN + " --method magic", "--method: is 'magic'",
             write_json("mine.json", {})),
    BadInput("train-on-unknown-fakes", TRAIN + " --generators magic", "no partial fakes by 'magic'",
             write_json("mine.json", {})),
]  # fmt: skip


def start_from(content: bytes | Spoil, name: str = "start.pth") -> Spoil:
    """A profile whose training starts from the file place/name."""

    def arrange(place: Path) -> None:
        (content if callable(content) else write(name, content))(place)
        write_json("mine.json", {"patches": {"start": name}})(place)

    return arrange


STARTS = [
    BadInput("start-file-is-empty", TRAIN, r"start\.pth: is no valid file of PyTorch", start_from(b"")),
    BadInput("start-file-is-text", TRAIN, r"start\.pth: is no valid file of PyTorch", start_from(b"weights\n")),
    BadInput("start-file-is-a-pickle", TRAIN, r"start\.pth: is no valid file|start\.pth: holds no tensors",
             start_from(save_pickle("start.pth", [1, 2]))),
    BadInput("start-file-runs-code", TRAIN, r"start\.pth: is no valid file of PyTorch",
             start_from(save_pickle("start.pth", print))),
    BadInput("start-file-is-a-tensor", TRAIN, r"start\.pth: holds no tensors by name",
             start_from(lambda place: torch.save(torch.ones(2), place / "start.pth"))),
    BadInput("start-file-is-of-another-network", TRAIN, r"start\.pth: does not fit, ",
             start_from(lambda place: torch.save({"a": torch.ones(2)}, place / "start.pth"))),
    BadInput("start-safetensors-are-empty", TRAIN, r"start\.safetensors: is no valid file of weights",
             start_from(write("start.safetensors", b""), "start.safetensors")),
]  # fmt: skip

GRIDS = [
    BadInput("grid-of-unknown-name", "grid plan nowhere --out {out}", "nowhere"),
    BadInput("grid-with-seeds-of-text", "grid plan table2 --seeds 0,x --out {out}", "--seeds: is '0,x', but must be"),
    BadInput("grid-with-a-huge-seed", f"grid plan table2 --seeds {10**30} --out {{out}}", "seed is 1000"),
    BadInput("grid-with-slots-below-0", "grid run table2 --slots -1 --out {out}", "Invalid value for '--slots'",
             exit_code=2),
    BadInput("grid-only-of-text", "grid run table2 --only x --out {out}", "--only: is 'x', but must be"),
    BadInput("grid-plan-of-an-unknown-source", "grid plan table2 --source moon --out {out}", "--source: is 'moon'"),
    BadInput("grid-with-a-bad-profile", "grid plan table2 --profile {place}/mine.json --out {out}", "batch_c is 0",
             write_json("mine.json", {"patches": {"batch_c": 0}})),
    BadInput("no-grid-to-show", "grid status table2 --out {out}", "holds no grid; begin one"),
]  # fmt: skip


def study(*spoils: Spoil) -> Spoil:
    """The dataset at place/data as the data of a study at place/out, with files made bad."""

    def arrange(place: Path) -> None:
        (place / "out").mkdir()
        (place / "data").rename(place / "out" / "data")
        write_json("mine.json", {"size": 32})(place)
        for spoil in spoils:
            spoil(place)

    return arrange


def run_of_study(config) -> Spoil:
    """A run of the study, marked as done, with this config.json."""

    def arrange(place: Path) -> None:
        folder = place / "out" / "p2"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "run.json").write_text('{"status": "done"}')

    return arrange


STUDY = "demo --source made-up --profile {place}/mine.json --out {data}/../out"
STUDIES = [
    BadInput(f"study-json-{name}", STUDY, answer, study(write("out/study.json", text)))
    for name, text, answer in (
        ("of-a-list", "[]", r"study\.json: is \[\], but must be a JSON object"),
        ("empty", "", r"study\.json: is not valid JSON"),
        ("with-a-profile-of-text", '{"profile": "quick"}', r"study\.json: profile"),
        ("with-an-unknown-setting", '{"profile": {"epochs": 3}}', r"study\.json: profile: unknown setting 'epochs'"),
        ("of-another-seed", '{"seed": 5}', "this study was begun with seed 5, not 0; choose another out"),
    )
] + [
    BadInput("study-with-a-run-of-a-list", STUDY, r"p2/config\.json: is \[\], but must be", study(run_of_study([]))),
]  # fmt: skip

CASES = [*WEIGHTS, *CONFIGS, *RUNS, *GENERATORS, *NUMBERS, *PROFILES, *STARTS, *GRIDS, *STUDIES]
