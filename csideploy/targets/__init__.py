"""Devices that a part may run on, one TOML file each, and how long a layer takes there."""

from csideploy.targets.files import Figure, Memory, Target, load, names
from csideploy.targets.model import LayerTime, predict

__all__ = ["Figure", "LayerTime", "Memory", "Target", "load", "names", "predict"]
