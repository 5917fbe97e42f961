// SPDX-License-Identifier: Apache-2.0
#include "server/pipeline/request.h"

namespace tailor {

std::string_view ReasonName(SelectionReason reason) {
  switch (reason) {
    case SelectionReason::kFit:
      return "fit";
    case SelectionReason::kDegraded:
      return "degraded";
    case SelectionReason::kPin:
      return "pin";
    case SelectionReason::kProbe:
      return "probe";
    case SelectionReason::kCascade:
      return "cascade";
    case SelectionReason::kInfeasible:
      return "infeasible";
  }
  return "";
}

}  // namespace tailor
