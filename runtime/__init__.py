"""The runtime: verifies and runs compiled parts (.csib). Needs numpy alone."""

from csideploy.runtime.angular_delay import angular_delay
from csideploy.runtime.isa import instruction_sets
from csideploy.runtime.part import Part, PayloadLayout, StepTime, TensorInfo
from csideploy.runtime.team import Team

__all__ = [
    "Part",
    "PayloadLayout",
    "StepTime",
    "Team",
    "TensorInfo",
    "angular_delay",
    "instruction_sets",
]
