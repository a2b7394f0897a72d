"""Encodes with OpenVINO; flags and output as engines/README.md says.

Expects f32.xml and int8.xml of ov_export.py in the folder --graphs.
"""

import openvino
import padded


def open_model(args):
    # Said, since its own choice on a processor with bf16 is bf16.
    settings = {"INFERENCE_NUM_THREADS": args.threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(args.graphs / f"{args.precision}.xml", "CPU", settings)
    request = model.create_infer_request()
    return lambda ids, mask: request.infer({"input_ids": ids, "attention_mask": mask})[0]


padded.main(__doc__, open_model, {"openvino": openvino.__version__})
