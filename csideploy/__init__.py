"""csideploy: an edge-deployment compiler and runtime for the neural networks of the radio link.

This file imports nothing, so that `import csideploy.runtime` costs numpy alone.
"""

__version__ = "0.1.0"
