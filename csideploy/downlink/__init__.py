"""The multi-user downlink with limited feedback: sizes, channels and pilots, sum rate.

The set-up of paper 004 (Kong, Song, Min, "Knowledge Distillation-aided End-to-End Learning for
Linear Precoding in Multiuser MIMO Downlink Systems with Finite-Rate Feedback"), Section II. NumPy
alone; what trains through it in torch has the same formulas once more, and tests compare the two.
"""

from csideploy.downlink.channels import dft_pilots, estimate, observe, rayleigh
from csideploy.downlink.rate import user_rates
from csideploy.downlink.setup import Setup

__all__ = ["Setup", "dft_pilots", "estimate", "observe", "rayleigh", "user_rates"]
