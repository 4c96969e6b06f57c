"""Notebooks: run them with parameters, convert them to HTML pages that work offline, normalise them for git."""

from wsdl.notebooks.pages import STILL, WIDGET, notebook_title, read_notebook, to_html
from wsdl.notebooks.run import LESSONS_FOLDER, REPORT, lesson_notebooks, refresh_lessons, run_notebook, slowest_first
from wsdl.notebooks.slides import to_slides
from wsdl.notebooks.tidy import KERNELSPEC, smaller_png, tidy_notebook

__all__ = [
    "KERNELSPEC",
    "LESSONS_FOLDER",
    "REPORT",
    "STILL",
    "WIDGET",
    "lesson_notebooks",
    "notebook_title",
    "read_notebook",
    "refresh_lessons",
    "run_notebook",
    "slowest_first",
    "smaller_png",
    "tidy_notebook",
    "to_html",
    "to_slides",
]
