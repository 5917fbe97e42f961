# SPDX-License-Identifier: Apache-2.0
"""Fetches Debian's package lists and long descriptions through apt, into a private folder.

The machine's own lists stay as they are: slim images switch translations off there, and this
needs no root. The machine's own sources are used, so mirrors and proxies keep working.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tailor_compress.errors import TailorError

_APT_HELPER = "/usr/lib/apt/apt-helper"


@dataclass(frozen=True)
class ArchiveLists:
    """The two texts that describe one suite: package stanzas and English descriptions."""

    packages: str
    translations: str


def _run(command: list[str], purpose: str) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603
    except FileNotFoundError as error:
        raise TailorError(
            f"the program {command[0]} for {purpose}",
            "no such program",
            "run this on Debian or a system derived from it",
        ) from error
    if done.returncode != 0:
        detail = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TailorError(
            f"{purpose} to succeed",
            f"exit code {done.returncode}: {detail[-1] if detail else 'no message'}",
            "check the network and the apt sources of this machine",
        )
    return done.stdout.decode("utf-8", "replace")


def _apt_options(state: Path) -> list[str]:
    return [
        "-o",
        "Acquire::Languages=en",
        "-o",
        f"Dir::State::lists={state / 'lists'}",
        "-o",
        f"Dir::Cache={state / 'cache'}",
    ]


def fetch_lists(state: Path, release: str, component: str = "main") -> ArchiveLists:
    """Fetch the lists of ``release`` (a code name such as bookworm) below the folder ``state``.

    Only the release itself is read, without its updates and security suites: those change every
    few days, a release only with its point releases. Raises TailorError when apt fails or the
    machine's sources do not name the release.
    """
    state = state.absolute()
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = _apt_options(state)
    _run(["apt-get", *options, "update"], "fetching the package lists with apt-get update")
    texts = {}
    for kind in ("Packages", "Translations"):
        selection = [f"Created-By: {kind}", f"Codename: {release}", f"Component: {component}"]
        found = _run(
            ["apt-get", *options, "indextargets", "--format", "$(FILENAME)", *selection],
            f"listing the fetched {kind} files",
        ).split()
        if not found:
            raise TailorError(
                f"apt sources with the release {release}/{component}",
                f"no {kind} file of it",
                "add the release to the apt sources, or name another one in the recipe (release:)",
            )
        texts[kind] = _run([_APT_HELPER, "cat-file", found[0]], f"reading the {kind} file")
    return ArchiveLists(packages=texts["Packages"], translations=texts["Translations"])
