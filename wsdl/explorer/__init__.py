"""The heat-map explorer: images with several maps each, compared with their true masks in the browser."""

from wsdl.explorer.widget import Explorer, explore

__all__ = ["Explorer", "explore"]
