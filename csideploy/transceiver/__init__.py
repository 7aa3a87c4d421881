"""One transceiver for any feedback budget and any number of users (paper 000).

Single-antenna users hear learned pilots, send a residual vector quantizer's indices, and the BS
makes a precoder of what they sent. Needs no torch: networks and training are elsewhere.
"""

from csideploy.transceiver.setup import Setup

__all__ = ["Setup"]
