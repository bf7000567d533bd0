# /// script
# dependencies = ["onnxruntime", "onnx"]
# ///
"""A session of ONNX Runtime, with a pool of threads, made when the function is loaded."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in ("x", "y")]
weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1, 2, 3, 4])
graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", places[:1], places[1:], [weights])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 2
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def handler(event, context):
    return session.run(None, {"x": np.array([[1, 1], [2, 0]], dtype=np.float32)})[0].tolist()
