"""Run notebooks with parameters: the lessons of a study, and the committed lessons anew.

A run writes NAME.ipynb, NAME.html and NAME.run.json. Only the last says whether it succeeded: a notebook whose kernel
died looks complete.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from wsdl.core.io import WsdlError, write_json, write_text
from wsdl.core.progress import print_stderr
from wsdl.notebooks.pages import INJECTED, check_home, notebook_question, notebook_title, read_notebook, to_html
from wsdl.notebooks.tidy import tidy_notebook

LESSONS_FOLDER = Path(__file__).parent.parent.parent / "notebooks"  # the committed lessons, in a checkout
# Not in the demo: three train detectors of their own, the last is about weights that few have.
LONG = ("07_generalisation", "08_background", "10_your_own_folders", "11_published_methods")
SLOW = ("04_setup_b", *LONG)  # these train detectors: where lessons run beside each other, they are started first
REPORT = "90_report"  # not a lesson: a report of any runs


def lesson_notebooks(long: bool = False) -> list[Path]:
    """The lessons in order; with `long` also those of LONG."""
    found = sorted(path for path in LESSONS_FOLDER.glob("[0-9][0-9]_*.ipynb") if path.stem != REPORT)
    if not found:
        raise WsdlError(f"{LESSONS_FOLDER}: holds no lessons; run wsdl from a checkout of the repository.")
    return [lesson for lesson in found if long or lesson.stem not in LONG]


def slowest_first(lessons: list[Path]) -> list[Path]:
    """`lessons` in the order in which they are started beside each other, so that none is left running alone."""
    return sorted(lessons, key=lambda lesson: lesson.stem not in SLOW)


def run_notebook(
    notebook: Path, out_folder: Path, parameters: dict, made_of: dict | None = None, kernel: str = ""
) -> Path:
    """Run `notebook` with `parameters` and return its HTML page, `out_folder`/NAME.html.

    made_of is recorded in NAME.run.json, so that a caller can decide whether the notebook must be run again.
    kernel: a kernel that Jupyter lists, which the output then names as its own; "" for the current Python.
    WsdlError for a parameter that the notebook does not have, for a kernel that does not exist and, after the page was
    written, for a cell that failed.
    """
    notebook, out_folder = Path(notebook).resolve(), Path(out_folder).resolve()
    parameters = check_parameters(notebook, parameters)
    kernelspec = find_kernelspec(kernel) if kernel else {}
    done, page = out_folder / notebook.name, out_folder / f"{notebook.stem}.html"
    report = {
        "notebook": notebook.name,
        "title": notebook_title(notebook),
        "question": notebook_question(notebook),
        "parameters": parameters,
        "made_of": made_of,
    }
    start = time.monotonic()

    def write(status: str, **more) -> None:
        seconds = round(time.monotonic() - start, 1)
        write_json(out_folder / f"{notebook.stem}.run.json", {"status": status, "seconds": seconds, **report, **more})

    write("running")
    try:
        _execute(notebook, done, parameters, kernelspec)
        problem = ""
    except Exception as error:  # papermill, nbclient and the kernel each raise their own
        problem = _failure_sentence(notebook, done, error)
    if done.exists():
        to_html(done, page, problem)
    if problem:
        write("failed", error=problem)
        raise WsdlError(problem)
    write("done")
    return page


def check_parameters(notebook: Path, parameters: dict) -> dict:
    """`parameters` as JSON values. WsdlError where `notebook` has no parameter of that name."""
    check_home()
    import papermill

    read_notebook(notebook)  # its errors are one sentence
    try:
        valid = papermill.inspect_notebook(str(notebook))
    except Exception as error:  # papermill raises its own, and KeyError where metadata are missing
        raise WsdlError(f"{notebook}: its parameters cannot be read ({type(error).__name__}: {error}).") from None
    if unknown := sorted(set(parameters) - set(valid)):
        raise WsdlError(f"{notebook.name}: has no parameter '{unknown[0]}'; valid are {', '.join(valid)}.")
    try:
        return json.loads(json.dumps(parameters))
    except TypeError as error:
        raise WsdlError(
            f"{notebook.name}: a parameter is no plain value ({error}); give strings, numbers or lists."
        ) from None


def find_kernelspec(kernel: str) -> dict:
    """The kernelspec of `kernel` as notebooks store it: name, display_name, language. WsdlError if there is none."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    specs = KernelSpecManager()
    try:
        spec = specs.get_kernel_spec(kernel)
    except NoSuchKernel:
        known = ", ".join(sorted(specs.find_kernel_specs()))
        raise WsdlError(f"--kernel: Jupyter has no kernel '{kernel}'; it lists {known}.") from None
    return {"display_name": spec.display_name, "language": spec.language, "name": kernel}


def _execute(notebook: Path, done: Path, parameters: dict, kernelspec: dict) -> None:
    """Run `notebook` with papermill into `done`, in its folder and with a kernel; without one, the current Python."""
    import papermill
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class ThisPython(AsyncKernelManager):
        """A kernel of the current Python: the user's kernel named python3 may be another one, without wsdl."""

        @property
        def kernel_spec(self) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            path = os.pathsep.join(filter(None, [str(LESSONS_FOLDER.parent), os.environ.get("PYTHONPATH")]))
            return KernelSpec(argv=argv, language="python", env={"PYTHONPATH": path})

    try:
        papermill.execute_notebook(
            str(notebook),
            str(done),
            parameters,
            kernel_name=kernelspec.get("name", "python3"),
            cwd=str(notebook.parent),
            progress_bar={"desc": notebook.stem, "file": sys.stderr, "mininterval": 1 if sys.stderr.isatty() else 15},
            kernel_manager_class=AsyncKernelManager if kernelspec else ThisPython,
            extra_arguments=["--IPKernelApp.log_level=50"],  # at 40 a kernel that is shut down reports an interrupt
        )
    finally:
        if kernelspec and done.exists():
            _write_kernelspec(done, kernelspec)


def _write_kernelspec(notebook: Path, kernelspec: dict) -> None:
    """Name the kernel that ran `notebook`: papermill keeps the name of the kernel that the notebook came with."""
    import nbformat

    book = read_notebook(notebook)
    book.metadata["kernelspec"] = kernelspec
    write_text(notebook, nbformat.writes(book) + "\n")


def _failure_sentence(notebook: Path, done: Path, error: Exception) -> str:
    """One sentence: the cell that failed, and the reason. Cells are counted from 1, text and code alike."""
    import papermill

    reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    if isinstance(error, papermill.PapermillExecutionError):
        reason = f"{error.ename}: {error.evalue}"
    else:
        reason = f"{type(error).__name__}: {reason}"
    cells = read_notebook(done).cells if done.exists() else []
    own = [cell for cell in cells if not set(INJECTED) & set(cell.metadata.get("tags", []))]
    begun = [n for n, cell in enumerate(own) if cell.metadata.get("papermill", {}).get("start_time")]
    if not begun:
        return f"{notebook.name}: did not run: {reason}"
    first = next(iter(own[begun[-1]].source.splitlines()), "")  # no cell starts after a failure
    return f"{notebook.name}: cell {begun[-1] + 1} (`{first}`) failed: {reason}"


def refresh_lessons(study: Path | None = None, long: bool = False) -> None:
    """Run the lessons and the report, and write the tidied results over the committed notebooks.

    study: a finished study of the studio faces to start from, so that nothing is trained; the lessons run in a copy of
    it, with its profile. Without one, a new study of the profile `quick` is made. long: also the lessons that train
    detectors of their own. If any notebook fails, none is written.
    """
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder).resolve()
        out = scratch / "out" / "demo"  # what the notebooks print of it is the same as from the default study
        if study:
            shutil.copytree(study, out)
        chosen = {lesson: {"out": str(out), "source": "studio"} for lesson in lesson_notebooks(long)}
        chosen |= {report: {"runs": str(out)} for report in LESSONS_FOLDER.glob(f"{REPORT}.ipynb")}
        for notebook, parameters in chosen.items():
            print_stderr(f"running {notebook.name}")
            run_notebook(notebook, scratch / "run", parameters)
        for notebook in chosen:
            done = scratch / "run" / notebook.name
            tidy_notebook(done)
            write_text(notebook, done.read_text(encoding="utf-8").replace(f"{scratch}{os.sep}", ""))
