// SPDX-License-Identifier: Apache-2.0
// A warm Run of the CPU engine allocates nothing. Every malloc and operator new of the process goes
// through the counters below. oneDNN 2.6 copies the arguments of each product into a hash map of
// its own; those small nodes come from inside libdnnl and are counted apart.
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "gtest/gtest.h"

#include "tests/parity/engine/parity.h"
#include "tests/parity/engine/random_model.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TAILOR_HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TAILOR_HAS_SANITIZER 1
#endif
#endif

#ifndef TAILOR_HAS_SANITIZER

extern "C" void* __libc_malloc(size_t size);
extern "C" void* __libc_calloc(size_t count, size_t size);
extern "C" void* __libc_realloc(void* memory, size_t size);
extern "C" void* __libc_memalign(size_t alignment, size_t size);
extern "C" void __libc_free(void* memory);

namespace {

std::atomic<bool> is_counting{false};
std::atomic<int> own_allocations{0};
std::atomic<int> onednn_allocations{0};
std::atomic<size_t> onednn_largest{0};

void Count(const void* caller, size_t size) {
  if (!is_counting.load(std::memory_order_relaxed)) return;
  Dl_info info;
  if (dladdr(caller, &info) != 0 && std::strstr(info.dli_fname, "libdnnl") != nullptr) {
    ++onednn_allocations;
    if (size > onednn_largest.load()) onednn_largest = size;
  } else {
    ++own_allocations;
  }
}

}  // namespace

extern "C" void* malloc(size_t size) {
  Count(__builtin_return_address(0), size);
  return __libc_malloc(size);
}
extern "C" void* calloc(size_t count, size_t size) {
  Count(__builtin_return_address(0), count * size);
  return __libc_calloc(count, size);
}
extern "C" void* realloc(void* memory, size_t size) {
  Count(__builtin_return_address(0), size);
  return __libc_realloc(memory, size);
}
extern "C" void* aligned_alloc(size_t alignment, size_t size) {
  Count(__builtin_return_address(0), size);
  return __libc_memalign(alignment, size);
}
extern "C" int posix_memalign(void** memory, size_t alignment, size_t size) {
  Count(__builtin_return_address(0), size);
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;  // ENOMEM
}
void* operator new(size_t size) {
  Count(__builtin_return_address(0), size);
  void* memory = __libc_malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { __libc_free(memory); }
void operator delete(void* memory, size_t) noexcept { __libc_free(memory); }

namespace tailor {
namespace {

TEST(Allocations, AWarmRunMakesNone) {
  const BertConfig config = testing::EqualLayers(64, 4, 128, 3);
  BertConfig mean = config;
  mean.head = {.kind = HeadKind::kEmbedding,
               .pooler = PoolerActivation::kNone,
               .pooling = Pooling::kMean,
               .normalize = true,
               .num_outputs = 64};
  ModelPackage mixed = testing::RandomModel(config, 5);
  testing::StoreCodes(mixed, testing::Stored::kEverySecond, 0.02F);
  for (const int threads : {1, 2, 3}) {
    const std::unique_ptr<Backend> cpu = testing::Cpu(threads);
    std::vector<LoadedCut> cuts = {
        testing::LoadInto(*cpu, testing::RandomModel(config, 1)),
        testing::LoadInto(*cpu, testing::RandomModel(mean, 2)),
        testing::LoadInto(*cpu, testing::RandomModel(config, 4, WeightFormat::kInt8)),
        testing::LoadInto(*cpu, mixed)};
    if (cpu->info().isa == "amx") {
      cuts.push_back(testing::LoadInto(*cpu, testing::RandomModel(config, 3, WeightFormat::kBf16)));
    }
    for (const std::vector<int>& lengths :
         {std::vector<int>{37}, std::vector<int>(60, 20), std::vector<int>{400, 9, 1, 77}}) {
      const Batch batch = testing::RandomBatch(lengths, config, 4);
      std::vector<float> outputs;
      for (const LoadedCut& cut : cuts) {
        outputs.resize(lengths.size() * cut.num_outputs);
        ASSERT_TRUE(cpu->Run(cut.cut, batch, outputs).ok());
        own_allocations = onednn_allocations = 0;
        is_counting = true;
        const bool is_ok = cpu->Run(cut.cut, batch, outputs).ok();
        is_counting = false;
        EXPECT_TRUE(is_ok);
        EXPECT_EQ(own_allocations.load(), 0) << threads << " threads, variant " << cut.cut.variant;
        std::printf(
            "  %d threads, %2zu sequences, variant %d: %d inside oneDNN, largest %zu bytes\n",
            threads, lengths.size(), cut.cut.variant, onednn_allocations.load(),
            onednn_largest.load());
      }
    }
  }
}

TEST(Allocations, NorDoesALinearVariant) {
  const ModelPackage package = LoadModelPackage("tests/golden/linear/model").value();
  const std::unique_ptr<Backend> cpu = testing::Cpu(1);
  const LoadedCut loaded = testing::LoadInto(*cpu, package);
  const Batch batch = testing::RandomBatch({64, 1, 17, 33}, package.config, 4);
  std::vector<float> outputs(4);
  own_allocations = onednn_allocations = 0;
  is_counting = true;
  const bool is_ok = cpu->Run(loaded.cut, batch, outputs).ok();
  is_counting = false;
  EXPECT_TRUE(is_ok);
  EXPECT_EQ(own_allocations.load() + onednn_allocations.load(), 0);
}

}  // namespace
}  // namespace tailor

#else

TEST(Allocations, AWarmRunMakesNone) {
  GTEST_SKIP() << "sanitizers replace the allocator that this test counts in";
}

#endif
