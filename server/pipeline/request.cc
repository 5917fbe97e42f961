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
    case SelectionReason::kFixed:
      return "fixed";
    case SelectionReason::kAlone:
      return "alone";
  }
  return "";
}

}  // namespace tailor
