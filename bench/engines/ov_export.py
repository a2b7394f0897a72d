"""Converts the transformer of a model folder for OpenVINO: f32, and static int8 made from it by NNCF, calibrated with 300 real texts.

usage: ov_export.py MODEL_FOLDER TARGET_FOLDER
"""

import json
import pathlib
import random
import sys

import nncf
import openvino
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, T5EncoderModel

TEXTS = pathlib.Path(__file__).parents[2] / "examples" / "finance" / "eval" / "corpus.jsonl"
CALIBRATION = 300
MAX_LENGTH = 256
NAMES = ("input_ids", "attention_mask")


class Encoder(torch.nn.Module):
    """Token embeddings only; token types are 0."""

    def __init__(self, folder):
        super().__init__()
        # Of T5 the encoder alone.
        kind = T5EncoderModel if AutoConfig.from_pretrained(folder).model_type == "t5" else AutoModel
        self.model = kind.from_pretrained(folder).eval()

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def convert(folder):
    example = {name: torch.ones((2, 8), dtype=torch.int64) for name in NAMES}
    with torch.no_grad():
        model = openvino.convert_model(Encoder(folder), example_input=example)
    for port, name in zip(model.inputs, NAMES):
        port.get_tensor().set_names({name})
    model.reshape({name: openvino.PartialShape([-1, -1]) for name in NAMES})
    return model


def calibration(folder):
    """Inputs of real texts, as the conversion's users are told to calibrate."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [json.loads(line)["text"] for line in TEXTS.read_text(encoding="utf-8").splitlines()]
    random.Random(0).shuffle(texts)

    def inputs(text):
        encoded = tokenizer(text, truncation=True, max_length=MAX_LENGTH, return_tensors="np")
        return {name: encoded[name].astype("int64") for name in NAMES}

    return nncf.Dataset(texts[:CALIBRATION], inputs)


def main():
    folder, target = sys.argv[1], pathlib.Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    model = convert(folder)
    openvino.save_model(model, target / "f32.xml", compress_to_fp16=False)
    quantized = nncf.quantize(model, calibration(folder), model_type=nncf.ModelType.TRANSFORMER, subset_size=CALIBRATION)
    openvino.save_model(quantized, target / "int8.xml", compress_to_fp16=False)


main()
