// SPDX-License-Identifier: Apache-2.0
#include "tests/parity/engine/parity.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "gtest/gtest.h"

#include "base/check.h"
#include "engine/backend_factory.h"

namespace tailor::testing {
namespace {

std::unique_ptr<Backend> MustCreate(const BackendOptions& options) {
  absl::StatusOr<std::unique_ptr<Backend>> backend = CreateBackend(options);
  EXPECT_TRUE(backend.ok()) << backend.status();
  TAILOR_CHECK(backend.ok());
  return *std::move(backend);
}

}  // namespace

std::string ParityIsa() {
  const char* isa = std::getenv("TAILOR_PARITY_ISA");
  return isa == nullptr ? "auto" : isa;
}

std::unique_ptr<Backend> Cpu(int threads) {
  return MustCreate({.threads = threads, .cpu_isa = ParityIsa(), .limits = kParityLimits});
}

std::unique_ptr<Backend> Reference() {
  return MustCreate({.device = Device::kReference, .limits = kParityLimits});
}

LoadedCut LoadInto(Backend& backend, const ModelPackage& package) {
  absl::StatusOr<LoadedCut> cut = backend.Load(package);
  EXPECT_TRUE(cut.ok()) << cut.status();
  TAILOR_CHECK(cut.ok());
  return *std::move(cut);
}

std::vector<float> Outputs(Backend& backend, const LoadedCut& cut, const Batch& batch) {
  std::vector<float> outputs(static_cast<size_t>(batch.num_sequences()) * cut.num_outputs);
  const absl::Status status = backend.Run(cut.cut, batch, outputs);
  EXPECT_TRUE(status.ok()) << status;
  return outputs;
}

void ExpectNear(const std::vector<float>& actual, const std::vector<float>& expected, double bound,
                const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  size_t worst = 0;
  double difference = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double d = std::abs(static_cast<double>(actual[i]) - expected[i]);
    ASSERT_TRUE(std::isfinite(d)) << what << " element " << i;
    if (d > difference) {
      difference = d;
      worst = i;
    }
  }
  if (actual.empty()) return;
  std::printf("  %-44s worst element %4zu: expected %+.7f, got %+.7f, difference %.1e\n",
              what.c_str(), worst, expected[worst], actual[worst], difference);
  EXPECT_LE(difference, bound) << what;
}

}  // namespace tailor::testing
