"""ONNX: what a network learned, as a graph that a web process runs without torch.

Graphs are put together node by node: torch's own exporters take ten seconds for a small network, or are deprecated, and
their bytes are not the same twice. Building needs the `onnx` package, in a worker; answering needs ONNX Runtime only.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

OPSET = 20  # the first with Gelu
IR_VERSION = 10  # of the file; what ONNX Runtime 1.18 and later read

Axis = int | str  # a length, or the name of one that may vary


@dataclass
class Graph:
    """A graph in the making: each method adds something and gives the name of what it makes."""

    nodes: list[Any] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def input(self, name: str, dtype: type[np.generic], *axes: Axis) -> str:
        """What is given when it is run: an array of `dtype` with these axes."""
        self.inputs.append(_value(name, dtype, axes))
        return name

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node of one output. `inputs` are names, in the order of ONNX's definition of the operator."""
        return self.split(operator, *inputs, outputs=1, **attributes)[0]

    def split(self, operator: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """A node of several outputs."""
        from onnx import helper

        names = [f"n{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def linear(self, x: str, weight: ArrayLike, bias: ArrayLike | None = None) -> str:
        """x W' + b over the last axis, as torch.nn.Linear: weight (out, in), bias (out,)."""
        product = self.add("MatMul", x, self.constant(np.asarray(weight).T))
        return product if bias is None else self.add("Add", product, self.constant(bias))

    def layer_norm(self, x: str, weight: ArrayLike, bias: ArrayLike, epsilon: float = 1e-5) -> str:
        """Over the last axis, as torch.nn.LayerNorm."""
        return self.add("LayerNormalization", x, self.constant(weight), self.constant(bias), axis=-1, epsilon=epsilon)

    def encoded(self, output: str, *axes: Axis, dtype: type[np.generic] = np.float32) -> NDArray[np.uint8]:
        """The graph that computes `output`, checked, as bytes uint8 (size,). The same graph gives the same bytes."""
        from onnx import checker, helper

        graph = helper.make_graph(self.nodes, "graph", self.inputs, [_value(output, dtype, axes)], self.constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="recsite"
        )
        checker.check_model(model)
        return np.frombuffer(model.SerializeToString(), dtype=np.uint8)


class Network:
    """A graph ready to run. Thread-safe; a run takes one thread, so that a web process's requests share the cores."""

    def __init__(self, model: NDArray[np.uint8]) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3  # errors only
        self.session = onnxruntime.InferenceSession(model.tobytes(), settings, providers=["CPUExecutionProvider"])

    def __call__(self, **inputs: NDArray[Any]) -> NDArray[Any]:
        """Inputs by name; what the graph computes of them."""
        found: NDArray[Any] = self.session.run(None, inputs)[0]
        return found


def _value(name: str, dtype: type[np.generic], axes: tuple[Axis, ...]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(axes))
