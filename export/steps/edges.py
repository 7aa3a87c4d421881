"""Graphs of users and antennas: what meets along the edges of one antenna."""

from __future__ import annotations

from csideploy.export.plan import Op
from csideploy.export.steps.site import Site, stored_shape


def attention(site: Site) -> None:
    """One step: its scores, a matrix of all pairs of users, are never stored."""
    names, shape = [site.x(i) for i in range(3)], stored_shape(site.out)
    average = int(site.attribute("average"))
    site.result(site.step(Op.EDGE_ATTENTION, names, shape, average=average))
