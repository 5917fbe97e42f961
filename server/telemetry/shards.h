// SPDX-License-Identifier: Apache-2.0
// Numbers that many threads add to and few read: one row of cells a thread, so that writers share
// no cache line.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace tailor {

// Thread-safe. All accesses are relaxed: sums over shards are exact once the writers are quiet, and
// never torn.
class Shards {
 public:
  explicit Shards(size_t num_cells);

  // Adds to the calling thread's shard.
  void Add(size_t cell, double value) { row()[cell].fetch_add(value, std::memory_order_relaxed); }
  // For numbers with one writer that are not sums: every other shard's cell stays zero.
  void Set(size_t cell, double value) {
    shards_[0].cells[cell].store(value, std::memory_order_relaxed);
  }
  double Sum(size_t cell) const;

 private:
  using Cell = std::atomic<double>;
  // A power of two. More threads than shards share them, which costs time but is still correct.
  static constexpr size_t kNumShards = 8;

  struct Free {
    void operator()(Cell* cells) const;
  };
  struct Shard {
    std::unique_ptr<Cell[], Free> cells;  // starts on a cache line of its own
  };

  Cell* row() { return shards_[ThreadOrdinal() % kNumShards].cells.get(); }
  static size_t ThreadOrdinal();

  Shard shards_[kNumShards];
};

}  // namespace tailor
