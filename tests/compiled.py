"""The kernels of our own compile for a GPU, which takes none: run without TRITON_INTERPRET."""

from itertools import product

import triton
from jaxtyping import install_import_hook
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

with install_import_hook("tabkit", "beartype.beartype"):  # as a reader may do: Triton reads sources
    from tabkit.fast import kernels

TARGET = GPUTarget("cuda", 80, 32)  # the oldest architecture that torch's builds are made for now
SIZES = {"K": 32, "TILES": 2, "ROWS": kernels.ROWS}


def compiled(kernel, types, constants):
    """The machine code for arguments of these types, by name; the rest are constants."""
    signature = types | dict.fromkeys(constants, "constexpr")
    ordered = {name: signature[name] for name in kernel.arg_names}
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    return triton.compile(ASTSource(kernel, ordered, places), target=TARGET).asm["cubin"]


def main():
    floats = "*fp32"
    for soft, hard, held in product((True, False), repeat=3):
        if not (soft or hard):
            continue
        types = {"values": floats, "starts": "*i32", "B": "i32", "by_feature": "i32"}
        types["tau"] = floats if held else "fp32"
        places = {"shares": soft, "vertices": hard}
        types |= {name: floats for name, there in places.items() if there}
        constants = {name: None for name, there in places.items() if not there}
        constants |= {"by_row": 1, "SOFT": soft, "HARD": hard, "HELD": held, **SIZES}
        assert compiled(kernels._relax, types, constants)
    types = dict.fromkeys(("p", "v", "found"), floats) | {"starts": "*i32"}
    types |= dict.fromkeys(("B", "pf", "vf"), "i32")
    assert compiled(kernels._multiply, types, {"pr": 1, "vr": 1, **SIZES})
    print("compiled")


if __name__ == "__main__":
    main()
