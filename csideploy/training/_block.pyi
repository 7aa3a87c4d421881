import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]

GROUP_FLOATS: int

def isas() -> list[str]: ...
def forward(
    isa: str, parameters: _Floats, x: _Floats, y: _Floats, coded: bool, threads: int
) -> None: ...
def backward(
    isa: str,
    parameters: _Floats,
    x: _Floats,
    dy: _Floats,
    dx: _Floats,
    gradient: _Floats,
    coded: bool,
    threads: int,
) -> None: ...
