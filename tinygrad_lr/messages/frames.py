"""The user's own frame: the innermost one outside of this package."""

import os
import sys
from types import CodeType, FrameType

Origin = tuple[CodeType, int]
PACKAGE = os.path.dirname(os.path.dirname(__file__))
OWN_FILES = {os.path.join(folder, name) for folder, _, names in os.walk(PACKAGE) for name in names}


def user_frame(depth: int = 1) -> FrameType:
    """The innermost frame, from `depth` frames up, that is outside of this package."""
    frame = sys._getframe(depth)
    while frame.f_code.co_filename in OWN_FILES and frame.f_back is not None:
        frame = frame.f_back
    return frame
