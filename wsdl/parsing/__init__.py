"""Face parser: component masks for images that have none, and alignment of faces by their eyes."""
