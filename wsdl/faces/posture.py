"""How the shoulders stand below the head: turned and leaning against it."""

import numpy as np

from wsdl.faces.geometry import ramp
from wsdl.faces.identity import Pose
from wsdl.faces.rig import Rig


def turn_shoulders(vertices: np.ndarray, rig: Rig, pose: Pose) -> np.ndarray:
    """`vertices` [V, 3] with all below the neck turned by `pose.turn` and leaned by `pose.lean` degrees.

    The head stays, since hair and camera are laid out along its axes; the neck twists smoothly between.
    """
    below = 1 - ramp(rig.template[:, 2] - 0.2 * (rig.template[:, 1] + 0.1), 0.49, 0.58)
    joint = vertices[rig.faces["joint-neck"]].reshape(-1, 3).mean(0)
    x, y, z = (vertices - joint).T
    turn, lean = np.radians(pose.turn) * below, np.radians(pose.lean) * below
    x, z = x * np.cos(lean) - z * np.sin(lean), x * np.sin(lean) + z * np.cos(lean)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return np.stack([x, y, z], 1) + joint
