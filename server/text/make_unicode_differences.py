# SPDX-License-Identifier: Apache-2.0
"""Writes unicode_differences.h: where Hugging Face tokenizers and the packaged utf8proc disagree.

The reference mixes Unicode versions (categories of version 8, normalization of version 9,
lower-casing of the newest); utf8proc has one. Every code point is asked of both, and what differs
becomes data. Run it with the project's Python when either of them changes:

    python server/text/make_unicode_differences.py > server/text/unicode_differences.h
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
        return int(self.library.utf8proc_get_property(code).contents.category)

    def combining_class(self, code: int) -> int:
        return int(self.library.utf8proc_get_property(code).contents.combining_class)

    def lower(self, code: int) -> str:
        return chr(self.library.utf8proc_tolower(code))

    def decompose(self, code: int) -> str:
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
    return (code for code in range(0x110000) if not 0xD800 <= code < 0xE000)


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code in sorted(codes):
        if found and found[-1][1] + 1 == code:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def print_ranges(name: str, comment: str, codes: Iterable[int]) -> None:
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


def main() -> int:
    ours = Utf8proc()
    clean, strip, lower = bert(clean_text=True), bert(strip_accents=True), bert(lowercase=True)
    nfd, split = NFD(), BertPreTokenizer().pre_tokenize_str
    kept, marks, not_marks, punctuation, not_punctuation = [], [], [], [], []
    not_combining, not_decomposed, lowered = [], [], []
    for code in code_points():
        char, category = chr(code), ours.category(code)
        if clean(char) == "":
            if category not in CONTROL and code not in DROPPED_BY_RULE:
                sys.exit(f"U+{code:04X} is dropped by the reference alone: no table for that")
        elif category in CONTROL and code not in KEPT_BY_RULE:
            kept.append(code)
        is_punctuation = len(split(f"a{char}b")) == 3
        if is_punctuation and category not in PUNCTUATION and code > 0x7F:
            punctuation.append(code)
        if not is_punctuation and category in PUNCTUATION:
            not_punctuation.append(code)
        decomposed = ours.decompose(code)
        if nfd.normalize_str(char) != decomposed:
            if nfd.normalize_str(char) != char:
                sys.exit(f"U+{code:04X} decomposes in another way: no table for that")
            not_decomposed.append(code)
        if decomposed == char:
            is_mark = strip(char) == ""
            if is_mark and category != MN:
                marks.append(code)
            if not is_mark and category == MN:
                not_marks.append(code)
            combines = reference_combines(nfd, code)
            if combines and ours.combining_class(code) == 0:
                sys.exit(f"U+{code:04X} combines in the reference alone: no table for that")
            if not combines and ours.combining_class(code) != 0:
                not_combining.append(code)
        if lower(char) != ours.lower(code) and code != 0x130:
            lowered.append((code, lower(char)))
    if any(len(text) != 1 for _, text in lowered):
        sys.exit("a lower-casing to several characters besides U+0130: no table for that")

    print("// SPDX-License-Identifier: Apache-2.0")
    print("// Where Hugging Face tokenizers and utf8proc disagree about a code point, because their")
    print("// Unicode versions differ. Written by make_unicode_differences.py, not by hand, from")
    print(f"// tokenizers {tokenizers.__version__} and utf8proc with Unicode {ours.version}.")
    print("#pragma once\n\n#include <string_view>\n\nnamespace tailor::unicode_differences {\n")
    print("// The version that these differences are differences from.")
    print(f'inline constexpr std::string_view kUtf8procUnicodeVersion = "{ours.version}";\n')
    print("struct CodePointRange {\n  char32_t first;\n  char32_t last;\n};\n")
    print("struct LowerCase {\n  char32_t upper;\n  char32_t lower;\n};\n")
    print_ranges("kNotControl", "Control characters to utf8proc, kept by the reference.", kept)
    print_ranges("kMark", "Non-spacing marks to the reference alone.", marks)
    print_ranges("kNotMark", "Non-spacing marks to utf8proc alone.", not_marks)
    print_ranges("kPunctuation", "Punctuation to the reference alone.", punctuation)
    print_ranges("kNotPunctuation", "Punctuation to utf8proc alone.", not_punctuation)
    print_ranges("kNotCombining", "Combining class 0 to the reference alone.", not_combining)
    print_ranges("kNotDecomposed", "Decomposed by utf8proc alone.", not_decomposed)
    print("// Lower-cased differently; the reference's form.\ninline constexpr LowerCase kLowerCase[] = {")
    for start in range(0, len(lowered), 4):
        row = lowered[start : start + 4]
        print("    " + ", ".join(f"{{0x{u:X}, 0x{ord(text):X}}}" for u, text in row) + ",")
    print("};\n\n}  // namespace tailor::unicode_differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
