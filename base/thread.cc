// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <utility>

namespace tailor {
namespace {

std::string ReadLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int CgroupCores() {
  if (const int cores = CoresFromCpuMax(ReadLine("/sys/fs/cgroup/cpu.max")); cores > 0) {
    return cores;
  }
  // Version 1 keeps the two numbers in two files; a quota of -1 means no limit.
  return CoresFromCpuMax(ReadLine("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") + " " +
                         ReadLine("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
}

}  // namespace

Thread::Thread(const std::string& name, std::function<void()> body)
    : thread_([short_name = name.substr(0, 15), body = std::move(body)] {
        pthread_setname_np(pthread_self(), short_name.c_str());
        body();
      }) {}

Thread::~Thread() { Join(); }

void Thread::Join() {
  if (thread_.joinable()) thread_.join();
}

int CoresFromCpuMax(const std::string& cpu_max) {
  std::istringstream stream(cpu_max);
  double quota = 0;
  double period = 0;
  if (!(stream >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return std::max(1, static_cast<int>((quota + period - 1) / period));
}

std::vector<int> AllowedCores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &mask)) cores.push_back(core);
  }
  return cores;
}

bool PinThisThread(int core) {
  if (core < 0 || core >= CPU_SETSIZE) return false;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(core, &mask);
  return sched_setaffinity(0, sizeof(mask), &mask) == 0;
}

int AvailableCores() {
  int cores = static_cast<int>(AllowedCores().size());
  if (const int quota = CgroupCores(); quota > 0) cores = std::min(cores, quota);
  return std::max(1, cores);
}

}  // namespace tailor
