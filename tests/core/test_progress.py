"""Messages beside progress bars."""

import sys
import time

import pytest
import typer

from wsdl import __main__
from wsdl.core.io import WsdlError
from wsdl.core.progress import progress_bar


@pytest.mark.parametrize(("error", "code"), [(WsdlError("no such folder"), 1), (KeyboardInterrupt(), 130)])
def test_the_sentence_of_an_error_begins_a_line(error, code, monkeypatch, capsys):
    app = typer.Typer()

    @app.command()
    def fail():
        bar = progress_bar(100, "training")
        bar.delay = 0.01
        bar.update(10)
        time.sleep(0.02)
        bar.set_postfix(loss=1)
        raise error

    monkeypatch.setattr(__main__, "app", app)
    monkeypatch.setattr(sys, "argv", ["wsdl"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == code
    assert "training:  10%" in lines[-2]
    assert lines[-1].startswith("wsdl: ")
