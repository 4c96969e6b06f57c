"""Which packages rendered faces need beyond wsdl's own, and what to say where one is missing. Imports neither."""

from importlib.metadata import version
from importlib.util import find_spec

from wsdl.core.io import WsdlError

PACKAGES = "anny", "mitsuba"  # heads, light


def missing(package: str) -> WsdlError:
    return WsdlError(f"Rendered faces need the package {package}, which is missing; run: pip install 'wsdl[render]'.")


def versions() -> dict[str, str]:
    """The version of each package; WsdlError where one is missing."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise missing(package)
    return {package: version(package) for package in PACKAGES}
