"""Saves tensors with torch in both of its forms, and as safetensors for comparison.

usage: goldens_pickle.py OUTPUT_FOLDER

The repository's OUTPUT_FOLDER is crates/pickle/tests/golden. It receives
  tensors.bin, tensors.stream.bin   a state dict as zip and as stream
  tensors.safetensors               its tensors, contiguous
  nested.bin                        {"state_dict": ..., "epoch": 3}
  hostile.bin                       a zip whose pickle calls a function
  module.bin                        a whole module, not its tensors alone
  static.bin                        the weights of crates/testkit/static/root

Made with torch 2.15.
"""

import os
import sys
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def tensors() -> OrderedDict:
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(6, 8, generator=generator)
    state = OrderedDict()
    state["plain"] = torch.randn(3, 5, generator=generator)
    state["transposed"] = base.t()
    state["rows"] = base[2:4]
    state["column"] = base[:, 3]
    state["every_other"] = base[::2, 1::3]
    state["repeated"] = torch.arange(5).expand(1, 5)
    state["parameter"] = torch.nn.Parameter(torch.randn(4, generator=generator))
    state["tied"] = state["plain"]
    state["bf16"] = torch.randn(2, 3, generator=generator).bfloat16()
    state["f16"] = torch.randn(7, generator=generator).half()
    state["f64"] = torch.randn(2, 2, generator=generator).double()
    state["i64"] = torch.tensor([-1, 2**40, 0])
    state["i32"] = torch.tensor([-(2**31), 5], dtype=torch.int32)
    state["i16"] = torch.tensor([-5, 300], dtype=torch.int16)
    state["i8"] = torch.tensor([-128, 127], dtype=torch.int8)
    state["u8"] = torch.tensor([0, 255], dtype=torch.uint8)
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 4)
    state._metadata = OrderedDict([("", {"version": 1})])
    return state


class Hostile:
    def __reduce__(self):
        return os.system, ("true",)


def main():
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    state = tensors()
    torch.save(state, target / "tensors.bin")
    torch.save(state, target / "tensors.stream.bin", _use_new_zipfile_serialization=False)
    save_file({name: value.detach().contiguous().clone() for name, value in state.items()}, target / "tensors.safetensors")
    torch.save({"epoch": 3, "state_dict": {"weight": state["plain"]}, "best": 0.5}, target / "nested.bin")
    torch.save({"weight": state["plain"], "code": Hostile()}, target / "hostile.bin")
    torch.save(torch.nn.Linear(2, 2), target / "module.bin")
    static = Path(__file__).resolve().parents[1] / "crates/testkit/static/root/model/model.safetensors"
    torch.save(load_file(static), target / "static.bin")


if __name__ == "__main__":
    main()
