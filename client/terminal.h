// SPDX-License-Identifier: Apache-2.0
// Text on a terminal: how wide it is, and what may be written to it.
#pragma once

#include <string>
#include <string_view>

namespace tailor::client {

// Columns of the terminal at standard output; 100 when it is none.
int TerminalColumns();

// `text` on one line of at most `columns` columns, cut with "…" where it is longer. Control
// characters become blanks, bytes that are no UTF-8 become "?": documents must not be able to drive
// the terminal. East Asian wide characters count as two columns.
std::string FitColumns(std::string_view text, int columns);

}  // namespace tailor::client
