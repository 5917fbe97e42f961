// SPDX-License-Identifier: Apache-2.0
// Broken invariants end the process; input never does.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace tailor {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
  std::abort();
}

}  // namespace tailor

#define TAILOR_CHECK(condition)                        \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::tailor::CheckFailed(#condition, __FILE__, __LINE__))
