"""Import time, the command line, and files that must agree: pyproject.toml, environment.yml, CITATION.cff, README."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from wsdl import __version__
from wsdl.__main__ import app

ROOT = Path(__file__).parent.parent
DESIGN_COMMANDS = ["demo", "data prepare", "data check", "data audit", "generate p2", "generate repaint-p2", "train",
                   "generate lama", "generate pluralistic", "train-generator lama", "train-generator pluralistic",
                   "train-generator p2", "evaluate", "notebooks run", "notebooks refresh", "notebooks html",
                   "notebooks slides",
                   "bench detectors", "bench patches", "bench grad-cam", "bench attention", "bench explorer",
                   "bench localize", "faces render", "data bundle", "data unpack", "data halve", "data parse",
                   "data parse-score", "train-parser", "report table", "report site", "localize"]  # fmt: skip


def test_importing_wsdl_is_light():
    code = "import sys, wsdl; print([m for m in ('torch', 'numpy', 'pandas', 'diffusers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_it_imports_and_draws_without_opencv_and_libgl():
    code = """if True:
        import sys, numpy as np
        sys.modules["cv2"] = None  # importing it is an error
        import wsdl.inference.localize, wsdl.training.detector, wsdl.generators.registry
        from wsdl import explore, plots
        images, maps = np.zeros((2, 32, 32, 3), np.uint8), np.zeros((2, 4, 4), np.float32)
        plots.map_grid(images, images[..., 0], {"mine": maps})._repr_png_()
        explore(images, {"mine": maps}).view()
        print([line.split()[-1] for line in open("/proc/self/maps") if "libGL" in line])
    """
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_the_command_line_starts_without_torch():
    code = "import sys, wsdl.__main__; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("command", DESIGN_COMMANDS)
def test_every_command_has_help(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert len(result.stdout) > 100


def test_wrong_usage_exits_with_2_and_failure_with_1(tmp_path):
    def run(*words):
        return subprocess.run([sys.executable, "-m", "wsdl", *words], capture_output=True, text=True, cwd=ROOT)

    assert run("data", "prepare").returncode == 2
    failed = run("data", "prepare", "--images", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert failed.returncode == 1
    assert failed.stderr == f"wsdl: {tmp_path / 'none'}: no such folder.\n"


def test_without_the_environment_the_message_says_what_to_do():
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-m", "wsdl", "demo"]  # -S: without site-packages, hence without typer
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    assert found.returncode == 1
    assert "source .venv/bin/activate" in found.stderr
    assert found.stderr.count("\n") == 1


def test_environment_yml_is_in_step_with_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    wanted = {re.split(r"[>=<]", line)[0]: line for line in project["dependencies"]}
    named = [line for line in conda if isinstance(line, str)]
    assert f"python{project['requires-python']}" in named
    assert wanted["torch"].replace("torch", "pytorch") in named
    assert wanted["torchvision"] in named
    pip = next(line for line in conda if isinstance(line, dict))["pip"]
    extras = re.search(r"\[(.+)\]", pip[0]).group(1).split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_citation_names_the_paper_and_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what CFF 1.2.0 requires
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", __version__)
    assert citation["references"][0]["url"].endswith("/2311.04584")


def test_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= 8_000


def headings(path: Path) -> set[str]:
    """Anchors of the headings of a Markdown file, as GitHub forms them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("folder", [".", "figures", "notebooks", "wsdl", "wsdl/assets"])
def test_links_of_every_readme_exist(folder):
    readme = ROOT / folder / "README.md"
    links = re.findall(r"\]\((?!https?:)(.+?)\)", readme.read_text(encoding="utf-8"))
    for link in links:
        name, _, anchor = link.partition("#")
        target = readme.parent / name if name else readme
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_dependency_has_a_reason():
    text = (ROOT / "pyproject.toml").read_text()
    block = text.split("dependencies = [")[1].split("\n]")[0]
    lines = [line for line in block.splitlines() if line.strip()]
    assert lines
    assert all("#" in line for line in lines)


@pytest.mark.parametrize("name", ["photos"])
def test_the_profiles_of_ci_are_valid(name):
    from wsdl.profiles import load_profile

    assert load_profile(str(ROOT / "ci" / f"{name}.json")).name == name
