# SPDX-License-Identifier: Apache-2.0
"""The one error type that users see."""


class TailorError(Exception):
    """Something the user can act on.

    The message says what was expected, what came instead, and what to do about it. The command
    line prints it without a traceback; every other exception is a bug of ours.
    """

    def __init__(self, expected: str, got: str, remedy: str) -> None:
        super().__init__(f"expected {expected}; got {got}; {remedy}")
        self.expected = expected
        self.got = got
        self.remedy = remedy
