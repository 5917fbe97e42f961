# SPDX-License-Identifier: Apache-2.0
"""Sparse matrices as a mask of bits and the values behind it.

For a weight M [rows, cols] three tensors are stored: ``M.compressed`` [nnz], row by row;
``M.bitmask`` u8 [rows, ceil(cols / 8)], bit i of byte j for column 8 * j + i, least significant
first; ``M.shape`` i64 [2]. Readers make it dense again.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tailor_compress.errors import TailorError

COMPRESSED, BITMASK, SHAPE = ".compressed", ".bitmask", ".shape"


def bitmask_encode(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return the three tensors of a matrix [rows, cols], which keep its type and its values."""
    kept = weight.detach() != 0
    bits = np.packbits(kept.numpy(), axis=1, bitorder="little")
    return {
        name + COMPRESSED: weight.detach()[kept].clone(),
        name + BITMASK: torch.from_numpy(bits),
        name + SHAPE: torch.tensor(weight.shape, dtype=torch.int64),
    }


def bitmask_decode(name: str, tensors: Mapping[str, Tensor]) -> Tensor:
    """Return the dense matrix. Raises TailorError for tensors that do not fit together."""
    missing = [ending for ending in (BITMASK, SHAPE) if name + ending not in tensors]
    if missing:
        raise TailorError(f"{name}{missing[0]} beside its values", "none", "write the file again")
    values, bits = tensors[name + COMPRESSED], tensors[name + BITMASK]
    rows, columns = (int(size) for size in tensors[name + SHAPE])
    wanted = (rows, -(-columns // 8))
    if tuple(bits.shape) != wanted:
        raise TailorError(
            f"a mask of {wanted} bytes for {name}", str(tuple(bits.shape)), "write the file again"
        )
    unpacked = np.unpackbits(bits.numpy(), axis=1, bitorder="little").astype(bool)
    if unpacked[:, columns:].any() or int(unpacked.sum()) != len(values):
        raise TailorError(
            f"{len(values)} bits in the mask of {name}, none beyond its columns",
            str(int(unpacked.sum())),
            "write the file again",
        )
    dense = torch.zeros(rows, columns, dtype=values.dtype)
    dense[torch.from_numpy(unpacked[:, :columns])] = values
    return dense
