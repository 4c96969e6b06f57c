"""The heat-map explorer: pictures, several maps of each, and the truth, looked at in a browser, with live numbers."""

from wsdl.explorer.widget import Explorer, explore

__all__ = ["Explorer", "explore"]
