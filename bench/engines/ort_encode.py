"""Encodes with ONNX Runtime; flags and output as engines/README.md says.

Expects f32.onnx and int8.onnx of onnx_export.py in the folder --graphs.
"""

import numpy
import onnxruntime
import padded


def open_model(args):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(args.graphs / f"{args.precision}.onnx", options, providers=["CPUExecutionProvider"])

    def run(ids, mask):
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        return session.run(None, inputs)[0]

    return run


padded.main(__doc__, open_model, {"onnxruntime": onnxruntime.__version__})
