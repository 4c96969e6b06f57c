"""Import the packages of the extra wsdl[render]: `anny` (heads) and `mitsuba` (path tracing).

Use `from wsdl.faces.extra import anny, mi`; WsdlError where they are not installed.
"""

import warnings

from wsdl.faces.batch import missing_package

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecation warnings inside these packages
        import anny
        import drjit
        import mitsuba as mi
except ImportError as error:
    raise missing_package(error.name) from None

mi.set_variant("scalar_rgb")  # the llvm variants crash on some machines
mi.set_log_level(mi.LogLevel.Error)
drjit.set_thread_count(1)  # mitsuba seeds each thread's part of the image: results depend on the thread count

__all__ = ["anny", "mi"]
