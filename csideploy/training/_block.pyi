import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]

BLOCK: int
CODED: int
PAIR: int
HEAD: int

def isas() -> list[str]: ...
def forward(
    isa: str, kind: int, parameters: _Floats, x: _Floats, z: _Floats, y: _Floats, threads: int
) -> None: ...
def backward(
    isa: str,
    kind: int,
    parameters: _Floats,
    x: _Floats,
    z: _Floats,
    dy: _Floats,
    dx: _Floats,
    gradient: _Floats,
    threads: int,
) -> None: ...
