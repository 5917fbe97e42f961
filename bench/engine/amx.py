# SPDX-License-Identifier: Apache-2.0
"""Whether this process may use AMX tiles, and how to give that up.

Linux hands tiles to a process that asks for them (Documentation/arch/x86/xstate.rst); libraries
that are refused take their next best instructions. A seccomp filter that refuses the request makes
a host with AMX one without, for the engine and all its peers alike, whatever switches they have.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

ARCH_PRCTL = 158  # <asm/unistd_64.h>
REQUEST_PERMISSION = 0x1023  # ARCH_REQ_XCOMP_PERM, <asm/prctl.h>
TILE_DATA = 18
SET_NO_NEW_PRIVILEGES = 38  # <linux/prctl.h>
SET_SECCOMP = 22
MODE_FILTER = 2
ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # <linux/bpf_common.h>: words, absolute, constants
ALLOW = 0x7FFF0000
REFUSE = 0x00050001  # SECCOMP_RET_ERRNO, EPERM

_libc = ctypes.CDLL(None, use_errno=True)


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def has_amx() -> bool:
    """Whether the CPU has tiles for bf16 and the kernel gives them to this process."""
    if "amx_bf16" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        return False
    return bool(_libc.syscall(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA) == 0)


def refuse_amx() -> None:
    """From now on no request for tiles succeeds, in this process and in those that it starts.

    Call it before any library asks for them. OSError when the kernel has no seccomp filters.
    """
    # Words of struct seccomp_data: 0 the call, 4 the architecture, 16 the first argument.
    instructions = (_Instruction * 8)(
        _Instruction(LOAD, 0, 0, 4),
        _Instruction(JUMP_IF_EQUAL, 0, 5, ARCHITECTURE),
        _Instruction(LOAD, 0, 0, 0),
        _Instruction(JUMP_IF_EQUAL, 0, 3, ARCH_PRCTL),
        _Instruction(LOAD, 0, 0, 16),
        _Instruction(JUMP_IF_EQUAL, 0, 1, REQUEST_PERMISSION),
        _Instruction(RETURN, 0, 0, REFUSE),
        _Instruction(RETURN, 0, 0, ALLOW),
    )
    program = _Program(len(instructions), instructions)
    if _libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    if _libc.prctl(SET_SECCOMP, MODE_FILTER, ctypes.byref(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")
