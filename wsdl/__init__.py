"""Weakly supervised localisation of deepfakes: data, generators, detectors, metrics, lessons.

Importing this module does not import torch: the names below load on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_MODULES = {"evaluate": "wsdl.evaluation.evaluate", "metrics": "wsdl.evaluation.metrics", "plots": "wsdl.plots"}
_NAMES = {
    "Dataset": "wsdl.data.dataset",
    "explore": "wsdl.explorer",
    "localize": "wsdl.inference.localize",
    "open_study": "wsdl.experiments.open_study",
    "upload": "wsdl.explorer.upload",
    "Profile": "wsdl.config",
    "load_profile": "wsdl.profiles",
    "WsdlError": "wsdl.core.io",
}

__all__ = [*_MODULES, *_NAMES, "__version__"]


def __getattr__(name: str):
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'wsdl' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)
