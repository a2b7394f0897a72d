"""Exports the transformer of a model folder to ONNX: f32, with ONNX Runtime's own fusions, and dynamic int8 made from it.

usage: onnx_export.py MODEL_FOLDER TARGET_FOLDER
"""

import pathlib
import sys
import tempfile

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from transformers import BertModel

NAMES = ("input_ids", "attention_mask", "token_type_ids")


class Encoder(torch.nn.Module):
    """Token embeddings only: the pooler of BERT has no part in mean pooling."""

    def __init__(self, folder):
        super().__init__()
        self.bert = BertModel.from_pretrained(folder, attn_implementation="eager", add_pooling_layer=False).eval()

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.bert(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state


def export(model, target):
    example = tuple(torch.ones((2, 8), dtype=torch.int64) for _ in NAMES)
    axes = {name: {0: "batch", 1: "tokens"} for name in (*NAMES, "hidden")}
    torch.onnx.export(model, example, target, input_names=list(NAMES), output_names=["hidden"], dynamic_axes=axes,
                      opset_version=17, dynamo=False)


def main():
    folder, target = sys.argv[1], pathlib.Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    model = Encoder(folder)
    config = model.bert.config
    with tempfile.TemporaryDirectory() as scratch:
        plain = f"{scratch}/plain.onnx"
        export(model, plain)
        fused = optimizer.optimize_model(plain, "bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size,
                                         opt_level=1)
        print(fused.get_fused_operator_statistics())
        fused.save_model_to_file(str(target / "f32.onnx"))
    # The types of tensors after a fused node are not inferred; all of this graph's are floats.
    # A scale a channel costs no time and keeps the vectors several times nearer than one a tensor.
    quantize_dynamic(target / "f32.onnx", target / "int8.onnx", weight_type=QuantType.QInt8, per_channel=True,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


main()
