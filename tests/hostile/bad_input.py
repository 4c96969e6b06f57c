"""One bad input: what is made wrong, the command that meets it, and the sentence that must answer."""

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from helpers import tree

from wsdl.__main__ import main


@dataclass(frozen=True)
class BadInput:
    """`command` is what follows `python -m wsdl`; {data}, {run}, {p2}, {images}, {masks}, {out} and {place} are paths.

    A path that the command names is copied from the fixture of that name into the folder {place}, in which the
    command runs; {out} does not exist. `arrange(place)` then makes the input bad.
    """

    name: str  # unique; the id of the test
    command: str
    answer: str  # regular expression, found in the last line of stderr
    arrange: Callable[[Path], object] = lambda place: None
    exit_code: int = 1  # 1: failed; 2: wrong usage
    may_write: tuple[str, ...] = ()  # besides {out}: names under {place} that the command may write to


FIXTURES = {"data": "dataset", "run": "run_folder", "p2": "p2", "images": "made_up", "masks": "made_up"}


def meet(case: BadInput, request, tmp_path: Path, monkeypatch, capsys) -> None:
    """Run one case: one sentence, the exit code, nothing written outside {out}, nothing lost."""
    place = tmp_path / "place"
    place.mkdir()
    for name, fixture in FIXTURES.items():
        if f"{{{name}}}" in case.command:
            source = request.getfixturevalue(fixture)
            source = source[("images", "masks").index(name)] if isinstance(source, tuple) else source
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns(".cache"))  # other tests decoded it
    case.arrange(place)
    before = tree(tmp_path)
    paths = {name: place / name for name in (*FIXTURES, "out")} | {"place": place}
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["wsdl", *(word.format(**paths) for word in case.command.split())])

    capsys.readouterr()  # what the fixtures printed

    code = exit_code_of_main()

    printed = capsys.readouterr().err.strip().splitlines()
    answer = printed[-1] if printed else ""
    assert code == case.exit_code, printed
    assert "Traceback" not in "\n".join(printed)
    assert re.search(case.answer, answer), answer
    assert code == 2 or answer.startswith("wsdl: "), answer
    after = tree(tmp_path)
    lost = {name for name, content in before.items() if after.get(name) != content}
    allowed = tuple(f"place/{name}" for name in ("out", *case.may_write))
    outside = {name for name in after.keys() - before.keys() if not name.startswith(allowed)}
    assert not lost, lost
    assert not outside, outside


def exit_code_of_main() -> int:
    """Exit code of the command in sys.argv, run in this process."""
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
