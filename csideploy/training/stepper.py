"""One optimizer step of a stage; on CUDA replayed as a graph.

These networks are small: a step is some hundred kernels of some microseconds each, which Python
launches more slowly than the device runs them. So the whole step, from the gathering of the batch
to the average of the weights, is recorded once as a CUDA graph; what differs from step to step
(rows, rate, the average's share) is written into tensors that the graph reads. The host waits for
nothing.

What cannot be recorded takes the plain path: several processes, and codebooks and shared vectors,
which the host moves and fits anew between steps.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.systems.acrnet import Residual
from csideploy.systems.link import Link
from csideploy.training import grouping
from csideploy.training.average import Average
from csideploy.training.block_operation import fast_blocks
from csideploy.training.data import TrainingData
from csideploy.training.devices import Place
from csideploy.training.objective import follow, loss_of, optimizer, prepare
from csideploy.training.recipes import Stage

_WARM_UPS = 3


def recordable(stage: Stage, link: Link) -> bool:
    """Whether a step of the stage is the same work on the device every time."""
    uniform = link.quantizer is None or isinstance(link.quantizer, UniformQuantizer)
    return uniform or stage.feature == "float"


class Stepper:
    """The steps of one stage of one link.

    Attributes:
        optimizer: of the stage.
        average: of the weights, if the stage asks for it.
        recorded: whether steps are replayed; None: no step was made yet.

    Args:
        stage: what is minimised, and how.
        link: on the place's device.
        model: the link, or what spreads it over processes.
        data: on the same device.
        place: the device.
        resident: keep what differs from step to step in tensors on the device, as a graph needs
            it; None: on CUDA, where it can be recorded.
    """

    def __init__(
        self,
        stage: Stage,
        link: Link,
        model: nn.Module,
        data: TrainingData,
        place: Place,
        *,
        resident: bool | None = None,
    ) -> None:
        self.stage, self.link, self.model, self.data, self.place = stage, link, model, data, place
        self._cuda = place.device.type == "cuda"
        if resident is None:
            resident = self._cuda and place.world == 1 and recordable(stage, link)
        self._resident = resident
        self.optimizer = optimizer(stage, link)
        self.average = Average(link, stage.average) if stage.average else None
        self.recorded: bool | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._loss = torch.zeros((), device=place.device)
        # Of all processes together; each has a share.
        rows = min(stage.batch, data.training_rows)
        self._rows = torch.zeros(rows, dtype=torch.int64, device=place.device)
        self._rate = torch.zeros((), device=place.device)
        factors = [group["factor"] for group in self.optimizer.param_groups]
        self._factors = torch.tensor(factors, device=place.device)
        self._rates = torch.zeros_like(self._factors)
        self._bind()
        # Codes of 8 bits are those of float32, so a stage with integers computes in it.
        self._precision = "fp32" if stage.integers else stage.precision
        for module in link.decoder.modules():
            if isinstance(module, Residual):
                module.bf16 = self._cuda and self._precision == "mixed"
        if self._cuda:
            share = -(-rows // place.world)
            grouping.choose(link, share, low=self._precision != "fp32", wait=self.wait)

    def _bind(self) -> None:
        """Let the optimizer read its rates from the device."""
        if self._resident:
            for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
                group["lr"] = rate
                group["capturable"] = self._cuda

    def step(self, number: int, rate: float, rows: Tensor) -> Tensor:
        """Train on a batch.

        Args:
            number: of the step within the stage, from 0.
            rate: learning rate.
            rows: int64, of the training data, on its device.

        Returns:
            The loss as it was before, a scalar that the next step may overwrite.
        """
        prepare(self.link, self.stage, number)
        if self.average is not None:
            self.average.at(number)
        if not self._resident:
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            return self._iterate(rows)
        self._rows.copy_(rows)
        self._rate.fill_(rate)
        if self.recorded is None:
            self.recorded = self._cuda and self._record()
        if self._graph is None:
            return self._iterate(self._rows)
        self._graph.replay()
        return self._loss

    def _iterate(self, rows: Tensor) -> Tensor:
        stage, link = self.stage, self.link
        link.train()
        if stage.frozen_norm:
            for module in link.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        if self._resident:
            torch.mul(self._factors, self._rate, out=self._rates)
        x = self.data.batch(rows)
        # bfloat16 pays on GPUs only; the CPU has blocks of its own, in float32.
        lower = self._cuda and self._precision == "bf16"
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=lower), fast_blocks(link):
            out = self.model(x).float()
        loss = loss_of(link, stage, out, x)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if stage.clip:
            torch.nn.utils.clip_grad_norm_(link.parameters(), stage.clip)
        self.optimizer.step()
        follow(link, stage, self.optimizer.param_groups[0]["lr"])
        if self.average is not None:
            self.average.follow()
        final: Tensor = loss.detach()
        return final

    def _record(self) -> bool:
        """Record a step; where that fails, all is as it was and steps are made one by one."""
        fresh = not self.optimizer.state
        before = [tensor.clone() for tensor in self._state()]
        try:
            stream = torch.cuda.Stream(self.place.device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream), warnings.catch_warnings():
                # The optimizer says that it could do without what a graph needs.
                warnings.simplefilter("ignore")
                for _ in range(_WARM_UPS):
                    self._iterate(self._rows)
            torch.cuda.current_stream().wait_stream(stream)
            self._put_back(before, fresh=fresh)
            self.optimizer.zero_grad(set_to_none=True)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._loss = self._iterate(self._rows)
            self._graph = graph
        except RuntimeError:
            # What still runs on the other stream must not write over what is put back.
            torch.cuda.synchronize(self.place.device)
            self._put_back(before, fresh=fresh)
        return self._graph is not None

    def _state(self) -> list[Tensor]:
        """All that a step changes, the optimizer's state last."""
        kept = list(self.link.state_dict().values())
        if self.average is not None:
            kept += self.average.values
        return kept + self._moments()

    def _moments(self) -> list[Tensor]:
        states = self.optimizer.state.values()
        return [value for state in states for value in state.values() if torch.is_tensor(value)]

    @torch.no_grad()
    def _put_back(self, before: list[Tensor], *, fresh: bool) -> None:
        """In place, since the graph will read these tensors; Adam's moments begin at 0."""
        for tensor, kept in zip(self._state(), before, strict=not fresh):
            tensor.copy_(kept)
        if fresh:
            for moment in self._moments():
                moment.zero_()

    def wait(self) -> None:
        """Until the device has done all steps, so that a clock can be read."""
        if self._cuda:
            torch.cuda.synchronize(self.place.device)

    def state(self) -> dict[str, object]:
        """What a resumed stage needs besides the link; the same on every device."""
        optimizer = self.optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])
            group["capturable"] = False
        return {
            "optimizer": optimizer,
            "average": None if self.average is None else self.average.values,
        }

    def restore(self, state: dict[str, object]) -> None:
        """Take up what `state` gave."""
        self.optimizer.load_state_dict(state["optimizer"])  # type: ignore[arg-type]
        if self.average is not None and state.get("average") is not None:
            self.average.load(state["average"])  # type: ignore[arg-type]
        self._bind()
