"""Weakly supervised localisation of deepfakes: data, generators, detectors, metrics, lessons.

Importing this module is cheap (no torch): the names below load on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_LAZY = {
    "Dataset": "wsdl.data.layout",
    "evaluate": "wsdl.evaluate",
    "explore": "wsdl.explorer",
    "localize": "wsdl.localizer",
    "metrics": "wsdl.metrics",
    "plots": "wsdl.plots",
    "upload": "wsdl.explorer.own",
    "Profile": "wsdl.profiles",
    "load_profile": "wsdl.profiles",
    "WsdlError": "wsdl.files",
}

__all__ = [*_LAZY, "__version__"]


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module 'wsdl' has no attribute '{name}'")
    module = import_module(_LAZY[name])
    return module if _LAZY[name].endswith(f".{name}") else getattr(module, name)


def __dir__():
    return sorted(__all__)
