// SPDX-License-Identifier: Apache-2.0
// Named threads, and how many of them this process may use.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace tailor {

// Joins on destruction. The name (at most 15 bytes are kept) shows up in top and gdb.
class Thread {
 public:
  Thread() = default;
  Thread(const std::string& name, std::function<void()> body);
  Thread(Thread&&) = default;
  Thread& operator=(Thread&&) = default;
  ~Thread();

  void Join();

 private:
  std::thread thread_;
};

// Cores that the process may really use: the smallest of the affinity mask and the cgroup (v2 or
// v1) CPU quota rounded up; at least 1. Host core counts are wrong inside limited containers.
int AvailableCores();

// Numbers of the cores in the affinity mask of the calling thread, ascending; empty when it cannot
// be read.
std::vector<int> AllowedCores();

// Keeps the calling thread on that core. False when the system refuses; nothing has changed then.
bool PinThisThread(int core);

// Parses the text of cgroup v2 `cpu.max` ("max 100000" or "200000 100000"): cores rounded up, or 0
// when there is no limit or the text is malformed.
int CoresFromCpuMax(const std::string& cpu_max);

}  // namespace tailor
