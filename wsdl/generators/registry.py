"""What made some fakes, by their recipe: fake/GENERATOR/recipe.json says all but where the weights are now."""

from pathlib import Path

from wsdl.generators.diffusion.ldm import CLEAN, RAW, ldm_painter
from wsdl.generators.inpainting.inpainter import inpaint_painter
from wsdl.generators.write_fakes import Painter

OTHERS = ("generator", "weights", "faces", "seed", "batch")  # in a recipe besides the schedule


def painter_of(recipe: dict, weights: str | Path) -> tuple[Painter, dict]:
    """The painter that makes such fakes with `weights`, and the schedule it painted by: see `repaint_faces`.

    WsdlError where the weights are no such generator's.
    """
    schedule = {key: value for key, value in recipe.items() if key not in OTHERS}
    name = recipe["generator"]
    if name in (RAW, CLEAN):
        return ldm_painter(weights, name == CLEAN, **schedule), schedule
    return inpaint_painter(name, weights), schedule
