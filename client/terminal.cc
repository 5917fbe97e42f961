// SPDX-License-Identifier: Apache-2.0
#include "client/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "utf8proc.h"

namespace tailor::client {

int TerminalColumns() {
  constexpr int kDefault = 100;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefault;
  return size.ws_col;
}

std::string FitColumns(std::string_view text, int columns) {
  std::string fitted;
  size_t end_of_cut = 0;  // bytes of `fitted` that leave a column for the ellipsis
  int used = 0;
  while (!text.empty()) {
    utf8proc_int32_t code_point = 0;
    auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                   static_cast<utf8proc_ssize_t>(text.size()), &code_point);
    std::string_view shown = text.substr(0, static_cast<size_t>(length > 0 ? length : 0));
    if (length <= 0) {
      length = 1;
      code_point = '?';
      shown = "?";
    }
    const utf8proc_category_t category = utf8proc_category(code_point);
    if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
        category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP) {
      code_point = ' ';
      shown = " ";
    }
    const int width = utf8proc_charwidth(code_point);
    if (used + width > columns) return fitted.substr(0, end_of_cut) + (columns > 0 ? "…" : "");
    fitted += shown;
    used += width;
    if (used < columns) end_of_cut = fitted.size();
    text.remove_prefix(static_cast<size_t>(length));
  }
  return fitted;
}

}  // namespace tailor::client
