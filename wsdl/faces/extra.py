"""The two packages that rendered faces need beyond wsdl's own: `anny` (heads) and `mitsuba` (light).

`from wsdl.faces.extra import anny, mi` in any module that needs them; WsdlError where they are not installed.
"""

import warnings
from importlib.metadata import version

from wsdl.files import WsdlError

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside these packages, nothing a reader can mend
        import anny
        import drjit
        import mitsuba as mi
except ImportError as error:
    raise WsdlError(
        f"Rendered faces need the package {error.name}, which is missing; run: pip install 'wsdl[render]'."
    ) from None

mi.set_variant("scalar_rgb")  # the llvm variants crash on some machines
mi.set_log_level(mi.LogLevel.Error)
drjit.set_thread_count(1)  # mitsuba cuts the picture into a part for each thread, and seeds depend on the part

VERSIONS = {name: version(name) for name in ("anny", "mitsuba")}

__all__ = ["VERSIONS", "anny", "mi"]
