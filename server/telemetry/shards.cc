// SPDX-License-Identifier: Apache-2.0
#include "server/telemetry/shards.h"

#include <cstdlib>
#include <new>

namespace tailor {
namespace {

constexpr size_t kCacheLine = 64;

}  // namespace

void Shards::Free::operator()(Cell* cells) const { std::free(cells); }

Shards::Shards(size_t num_cells) {
  const size_t bytes = (num_cells * sizeof(Cell) + kCacheLine - 1) / kCacheLine * kCacheLine;
  for (Shard& shard : shards_) {
    void* memory = std::aligned_alloc(kCacheLine, bytes);
    if (memory == nullptr) throw std::bad_alloc();
    auto* cells = static_cast<Cell*>(memory);
    for (size_t i = 0; i < num_cells; ++i) new (&cells[i]) Cell(0.0);
    shard.cells.reset(cells);
  }
}

double Shards::Sum(size_t cell) const {
  double sum = 0;
  for (const Shard& shard : shards_) sum += shard.cells[cell].load(std::memory_order_relaxed);
  return sum;
}

// Numbers the threads of the process as they first record: the first kNumShards never share.
size_t Shards::ThreadOrdinal() {
  static std::atomic<size_t> next{0};
  thread_local const size_t ordinal = next.fetch_add(1, std::memory_order_relaxed);
  return ordinal;
}

}  // namespace tailor
