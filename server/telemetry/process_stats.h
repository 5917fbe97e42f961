// SPDX-License-Identifier: Apache-2.0
// This process as the kernel sees it; prometheus-cpp ships no such collector.
#pragma once

namespace tailor {

struct ProcessStats {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  double open_fds = 0;
  double max_fds = 0;
  double start_time_seconds = 0;  // Unix time
};

// Zero for what /proc does not tell.
ProcessStats ReadProcessStats();

}  // namespace tailor
