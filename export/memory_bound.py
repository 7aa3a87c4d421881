"""How small the arena of a finished plan could be: the bytes that its fullest step needs at once.

Independent of how the plan was made: it looks at places and at who reads what.
"""

from __future__ import annotations

from csideploy.export.plan import Plan, Storage, Tensor

Region = tuple[int, int]
"""First byte and the one after the last, in the arena."""


def fullest_step(plan: Plan) -> tuple[int, int]:
    """The step at which most bytes of the arena are alive, and how many they are.

    A region is alive from the step that writes it to the last step that reads it, both included.
    With the same steps in the same order, and the same steps in place, no arena is smaller.

    Returns:
        (index of the step, bytes) at n = n_max and k = k_max; (0, 0) without an arena.
    """
    alive: list[set[Region]] = [set() for _ in plan.steps]
    written: dict[int, int] = {}  # where a region begins -> the step that wrote it last
    for s, step in enumerate(plan.steps):
        for index in step.inputs:
            if index is not None and plan.tensors[index].storage is Storage.ARENA:
                region = _region(plan, plan.tensors[index])
                for between in range(written[region[0]], s + 1):
                    alive[between].add(region)
        for index in step.outputs:
            if plan.tensors[index].storage is Storage.ARENA:
                region = _region(plan, plan.tensors[index])
                alive[s].add(region)
                written[region[0]] = s
    sizes = [_covered(regions) for regions in alive]
    most = max(sizes, default=0)
    return (sizes.index(most), most) if most else (0, 0)


def _region(plan: Plan, tensor: Tensor) -> Region:
    many = (plan.n_max if "n" in tensor.shape else 1) * (plan.k_max if "k" in tensor.shape else 1)
    return tensor.place, tensor.place + tensor.nbytes * many


def _covered(regions: set[Region]) -> int:
    """Bytes in the union of regions that overlap only where they are equal."""
    return sum(end - start for start, end in regions)
