"""The two packages that rendered faces need beyond wsdl's own: `anny` (heads) and `mitsuba` (light).

`from wsdl.faces.extra import anny, mi` in any module that needs them; WsdlError where they are not installed.
"""

import warnings

from wsdl.faces.needs import missing

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside these packages, nothing a reader can mend
        import anny
        import drjit
        import mitsuba as mi
except ImportError as error:
    raise missing(error.name) from None

mi.set_variant("scalar_rgb")  # the llvm variants crash on some machines
mi.set_log_level(mi.LogLevel.Error)
drjit.set_thread_count(1)  # mitsuba cuts the picture into a part for each thread, and seeds depend on the part

__all__ = ["anny", "mi"]
