# SPDX-License-Identifier: Apache-2.0
"""A peer in a process of its own, so that no runtime shares threads or OpenMP with another."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from batch import Batch, Candidate, CandidateError, Scores


def _serve(connection: Connection, make: Callable[[], Candidate]) -> None:
    """Answers (method, arguments) with (result, why it failed) until the other end closes."""
    try:
        peer = make()
        connection.send((peer.name, ""))
        while True:
            method, arguments = connection.recv()
            connection.send((getattr(peer, method)(*arguments), ""))
    except EOFError:
        return
    except Exception as error:  # whatever a runtime raises is the parent's to report
        connection.send((None, " ".join(f"{type(error).__name__}: {error}".split())[:300]))


class PeerProcess:
    """The candidate that `make`, which can be pickled, makes in a child process.

    Methods raise CandidateError when the peer fails; it has then ended.
    """

    def __init__(self, name: str, make: Callable[[], Candidate]) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()
        self._receive()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def score(self, batch: Batch) -> Scores:
        scores: Scores = self._ask("score", batch)
        return scores

    def time(self, batch: Batch, repeats: int) -> list[float]:
        seconds: list[float] = self._ask("time", batch, repeats)
        return seconds

    def close(self) -> None:
        self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            self._connection.send((method, arguments))
        except OSError as error:
            raise CandidateError(f"{self.name}: ended") from error
        return self._receive()

    def _receive(self) -> Any:
        try:
            result, problem = self._connection.recv()
        except (EOFError, OSError) as error:
            raise CandidateError(f"{self.name}: ended") from error
        if problem:
            raise CandidateError(f"{self.name}: {problem}")
        return result
