# SPDX-License-Identifier: Apache-2.0
"""Writes unicode_differences.h: where Hugging Face tokenizers and the packaged utf8proc disagree.

The reference mixes Unicode versions (categories of version 8, normalization of version 9,
lower-casing of the newest); utf8proc has one. Every code point is asked of both, and what differs
becomes data. When either of them changes:

    .venv/bin/python server/text/make_unicode_differences.py > server/text/unicode_differences.h
    clang-format-16 -i server/text/unicode_differences.h
"""

import ctypes
import ctypes.util
import sys
from collections.abc import Callable, Iterable, Iterator

import tokenizers
from tokenizers.normalizers import NFD, BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

MN = 6
PUNCTUATION = range(12, 19)
CONTROL = (26, 27, 29)  # Cc, Cf, Co
DECOMPOSE = 1 << 4
LOW, HIGH = "\u0334", "\u0345"  # combining classes 1 and 240
# Decided in the code by the rule that BERT states, not by a table.
DROPPED_BY_RULE = (0, 0xFFFD)
KEPT_BY_RULE = (0x9, 0xA, 0xD)
FIRST_BEYOND_ASCII = 0x80  # all ASCII symbols are punctuation by rule
SPECIAL_LOWER_CASE = 0x130  # the only lower case of two characters

COMMENTS = {
    "kNotControl": "Control characters to utf8proc, kept by the reference.",
    "kMark": "Non-spacing marks to the reference alone.",
    "kNotMark": "Non-spacing marks to utf8proc alone.",
    "kPunctuation": "Punctuation to the reference alone.",
    "kNotPunctuation": "Punctuation to utf8proc alone.",
    "kNotCombining": "Combining class 0 to the reference alone.",
    "kNotDecomposed": "Decomposed by utf8proc alone.",
}

HEAD = """\
// SPDX-License-Identifier: Apache-2.0
// Where Hugging Face tokenizers and utf8proc disagree about a code point, because their
// Unicode versions differ. Written by make_unicode_differences.py, not by hand, from
// tokenizers {reference} and utf8proc with Unicode {ours}.
#pragma once

#include <string_view>

namespace tailor::unicode_differences {{

// The version that these differences are differences from.
inline constexpr std::string_view kUtf8procUnicodeVersion = "{ours}";

struct CodePointRange {{
  char32_t first;
  char32_t last;
}};

struct LowerCase {{
  char32_t upper;
  char32_t lower;
}};
"""


class Utf8proc:
    """What unicode_normalizer.cc asks of the library."""

    class Property(ctypes.Structure):
        """Head of utf8proc_property_t."""

        _fields_ = (("category", ctypes.c_int16), ("combining_class", ctypes.c_int16))

    def __init__(self) -> None:
        self.library = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
        self.library.utf8proc_get_property.restype = ctypes.POINTER(self.Property)
        self.library.utf8proc_unicode_version.restype = ctypes.c_char_p
        self.version = self.library.utf8proc_unicode_version().decode()
        self._buffer = (ctypes.c_int32 * 32)()

    def category(self, code: int) -> int:
        """General category, as utf8proc numbers them."""
        return int(self.library.utf8proc_get_property(code).contents.category)

    def combining_class(self, code: int) -> int:
        """Canonical combining class."""
        return int(self.library.utf8proc_get_property(code).contents.combining_class)

    def lower(self, code: int) -> str:
        """Simple lower case."""
        return chr(self.library.utf8proc_tolower(code))

    def decompose(self, code: int) -> str:
        """Full canonical decomposition."""
        last = ctypes.c_int(0)
        count = self.library.utf8proc_decompose_char(
            code, self._buffer, 32, DECOMPOSE, ctypes.byref(last)
        )
        return "".join(chr(value) for value in self._buffer[:count])


def bert(**steps: bool) -> Callable[[str], str]:
    """One step of the reference's BertNormalizer."""
    names = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
    normalizer = BertNormalizer(**{name: steps.get(name, False) for name in names})
    return normalizer.normalize_str


def code_points() -> Iterator[int]:
    """Yield all of them but surrogates."""
    return (code for code in range(0x110000) if not 0xD800 <= code < 0xE000)


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    """Join neighbours to (first, last)."""
    found: list[tuple[int, int]] = []
    for code in sorted(codes):
        if found and found[-1][1] + 1 == code:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def print_ranges(name: str, comment: str, codes: Iterable[int]) -> None:
    """Print one array of the header."""
    found = ranges(codes)
    print(f"// {comment}\ninline constexpr CodePointRange {name}[] = {{")
    for start in range(0, len(found), 4):
        row = ", ".join(f"{{0x{a:X}, 0x{b:X}}}" for a, b in found[start : start + 4])
        print(f"    {row},")
    print("};\n")


def reference_combines(nfd: NFD, code: int) -> bool:
    """Whether the reference reorders this code point, that is, has a combining class for it."""
    char = chr(code)
    swapped = (f"a{char}{LOW}", f"a{HIGH}{char}")
    return any(nfd.normalize_str(text) != text for text in swapped)


class Differences:
    """What differs, found one code point at a time."""

    def __init__(self, ours: Utf8proc) -> None:
        self.ours = ours
        self.clean = bert(clean_text=True)
        self.strip = bert(strip_accents=True)
        self.lower = bert(lowercase=True)
        self.nfd = NFD()
        self.split = BertPreTokenizer().pre_tokenize_str
        self.ranges: dict[str, list[int]] = {name: [] for name in COMMENTS}
        self.lowered: list[tuple[int, str]] = []

    def compare(self, code: int) -> None:
        """Ask both about ``code``; ends the program where no table can hold the difference."""
        self._compare_control(code)
        self._compare_punctuation(code)
        self._compare_decomposition(code)
        lower = self.lower(chr(code))
        if lower != self.ours.lower(code) and code != SPECIAL_LOWER_CASE:
            if len(lower) != 1:
                sys.exit(f"U+{code:04X} lower-cases to several characters: no table for that")
            self.lowered.append((code, lower))

    def _compare_control(self, code: int) -> None:
        is_control = self.ours.category(code) in CONTROL
        if self.clean(chr(code)) == "":
            if not is_control and code not in DROPPED_BY_RULE:
                sys.exit(f"U+{code:04X} is dropped by the reference alone: no table for that")
        elif is_control and code not in KEPT_BY_RULE:
            self.ranges["kNotControl"].append(code)

    def _compare_punctuation(self, code: int) -> None:
        theirs = len(self.split(f"a{chr(code)}b")) == 3
        ours = self.ours.category(code) in PUNCTUATION
        if theirs and not ours and code >= FIRST_BEYOND_ASCII:
            self.ranges["kPunctuation"].append(code)
        if ours and not theirs:
            self.ranges["kNotPunctuation"].append(code)

    def _compare_decomposition(self, code: int) -> None:
        char, decomposed = chr(code), self.ours.decompose(code)
        theirs = self.nfd.normalize_str(char)
        if theirs != decomposed:
            if theirs != char:
                sys.exit(f"U+{code:04X} decomposes in another way: no table for that")
            self.ranges["kNotDecomposed"].append(code)
        elif decomposed == char:
            self._compare_mark(code)

    def _compare_mark(self, code: int) -> None:
        is_mark = self.strip(chr(code)) == ""
        if is_mark != (self.ours.category(code) == MN):
            self.ranges["kMark" if is_mark else "kNotMark"].append(code)
        combines = reference_combines(self.nfd, code)
        if combines != (self.ours.combining_class(code) != 0):
            if combines:
                sys.exit(f"U+{code:04X} combines in the reference alone: no table for that")
            self.ranges["kNotCombining"].append(code)


def main() -> int:
    """Print the header."""
    ours = Utf8proc()
    differences = Differences(ours)
    for code in code_points():
        differences.compare(code)
    print(HEAD.format(reference=tokenizers.__version__, ours=ours.version))
    for name, comment in COMMENTS.items():
        print_ranges(name, comment, differences.ranges[name])
    print("// Lower-cased differently; the reference's form.")
    print("inline constexpr LowerCase kLowerCase[] = {")
    for upper, lower in differences.lowered:
        print(f"    {{0x{upper:X}, 0x{ord(lower):X}}},")
    print("};\n\n}  // namespace tailor::unicode_differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
