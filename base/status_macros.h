// SPDX-License-Identifier: Apache-2.0
// Propagation of absl::Status; the only macros of the project.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expr` from the enclosing function unless it is OK.
#define TAILOR_RETURN_IF_ERROR(expr)                                  \
  do {                                                                \
    if (absl::Status tailor_status_ = (expr); !tailor_status_.ok()) { \
      return tailor_status_;                                          \
    }                                                                 \
  } while (false)

#define TAILOR_CONCAT_INNER_(a, b) a##b
#define TAILOR_CONCAT_(a, b) TAILOR_CONCAT_INNER_(a, b)

// Declares or assigns `lhs` from a StatusOr expression, or returns its status.
#define TAILOR_ASSIGN_OR_RETURN(lhs, expr) \
  TAILOR_ASSIGN_OR_RETURN_IMPL_(TAILOR_CONCAT_(tailor_status_or_, __LINE__), lhs, expr)
#define TAILOR_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return std::move(tmp).status();      \
  lhs = *std::move(tmp)
