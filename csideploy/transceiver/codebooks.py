"""All that is done to residual codebooks at deployment, in one place.

A set of codebooks is a list of tiers, tier t float32 (2^b_t, D); `usage` says how often each
codeword is used on training features. Fewer bits than trained: `shrink`, or `shrink_on` with
features at hand; more: `expand`; codebooks from features: `fit_tiers`. `encode` and `decode` are
for analysis; a UE's codes come from the runtime.
"""

from csideploy.transceiver.expand import expand
from csideploy.transceiver.search import Codebooks, decode, encode, tier_bits, usage
from csideploy.transceiver.shrink import shrink, shrink_on
from csideploy.transceiver.tiers import fit_tiers

__all__ = [
    "Codebooks",
    "decode",
    "encode",
    "expand",
    "fit_tiers",
    "shrink",
    "shrink_on",
    "tier_bits",
    "usage",
]
