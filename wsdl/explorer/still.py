"""Display a widget and a still image of it: a saved notebook shows the image where the widget cannot be drawn.

`jupyter nbconvert --to html` prefers a widget over every other form of the same output, and its pages load widgets from
a network. The still image is therefore an output of its own, which a widget that is drawn hides.
"""

import secrets

from IPython.display import display
from markupsafe import Markup

from wsdl.notebooks import STILL

_IMAGE = Markup('<div class="{still} {still}-{name}"><img alt="{text}" src="data:image/jpeg;base64,{data}"></div>')
_TEXT = Markup('<div class="{still} {still}-{name}">{text}</div>')


def still_name() -> str:
    """A name that connects a widget with its still image; the browser hides what has it as a class."""
    return secrets.token_hex(8)


def display_with_still(widget, name: str) -> None:
    """Display the forms of `widget`, then the still image among them, or its text where it has none."""
    bundle = widget._repr_mimebundle_()
    forms, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    display(forms, metadata=metadata, raw=True)
    data = forms.get("image/jpeg", "")
    html = (_IMAGE if data else _TEXT).format(still=STILL, name=name, text=forms["text/plain"], data=data)
    display({"text/html": str(html), "text/plain": ""}, raw=True)
