// SPDX-License-Identifier: Apache-2.0
#include "client/load_progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"

namespace tailor::client {

LoadProgressDisplay::LoadProgressDisplay(Duration expected, std::function<LoadProgress()> progress)
    : expected_(expected),
      progress_(std::move(progress)),
      on_terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      thread_("load-progress", [this] { Run(); }) {}

LoadProgressDisplay::~LoadProgressDisplay() {
  {
    const MutexLock lock(&mutex_);
    is_stopped_ = true;
    stopped_.NotifyAll();
  }
  thread_.Join();
}

void LoadProgressDisplay::Run() {
  const Duration interval = std::chrono::milliseconds(on_terminal_ ? 200 : 1000);
  while (!IsStopped(interval)) Show();
  if (on_terminal_) std::fputs("\r\x1b[K", stderr);  // leaves an empty line for the report
}

bool LoadProgressDisplay::IsStopped(Duration wait) {
  const TimePoint end = std::chrono::steady_clock::now() + wait;
  const MutexLock lock(&mutex_);
  while (!is_stopped_) {
    const Duration left = end - std::chrono::steady_clock::now();
    if (left <= Duration::zero()) return false;
    stopped_.WaitFor(&mutex_, left);
  }
  return true;
}

void LoadProgressDisplay::Show() {
  constexpr double kBarColumns = 30;
  const LoadProgress now = progress_();
  const double elapsed = ToSeconds(std::chrono::steady_clock::now() - start_);
  std::string line;
  if (on_terminal_) {
    const double share = std::clamp(elapsed / std::max(ToSeconds(expected_), 1e-9), 0.0, 1.0);
    std::string bar(static_cast<size_t>(share * kBarColumns), '#');
    bar.resize(static_cast<size_t>(kBarColumns), '.');
    line = absl::StrFormat("\r[%s] %.0f s  sent %d  answered %d  refused %d  failed %d\x1b[K", bar,
                           elapsed, now.sent, now.answered, now.refused, now.failed);
  } else {
    line = absl::StrFormat(
        "{\"elapsed_s\":%.1f,\"sent\":%d,\"answered\":%d,\"refused\":%d,\"failed\":%d,"
        "\"in_flight\":%d}\n",
        elapsed, now.sent, now.answered, now.refused, now.failed, now.in_flight);
  }
  std::fputs(line.c_str(), stderr);
}

}  // namespace tailor::client
