// SPDX-License-Identifier: Apache-2.0
// Times one backend on one model folder, or on a variant of a family. Alone it prints a JSON line a
// batch; with --interactive it answers commands on standard input, so that compare_peers.py can
// interleave it with others:
//   describe SPEC        {"token_ids": [...], "token_type_ids": [...], "sequence_offsets": [...]}
//   score SPEC           {"outputs": [...]}
//   time SPEC REPEATS    {"seconds": [...]}
#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

#include "base/thread.h"
#include "bench/engine/batch_spec.h"
#include "engine/backend_factory.h"
#include "engine/model/family_folder.h"
#include "engine/model/model_package.h"

namespace tailor::bench {
namespace {

using Json = nlohmann::json;

const std::map<std::string, WeightFormat> kFormats = {{"f32", WeightFormat::kF32},
                                                      {"bf16", WeightFormat::kBf16},
                                                      {"f16", WeightFormat::kF16},
                                                      {"int8", WeightFormat::kInt8}};

struct Options {
  std::string model;
  std::string variant;
  std::string format;
  std::string isa = "auto";
  std::vector<std::string> batches = {"1x128", "16x128", "rag32"};
  int threads = 2;
  double seconds = 3;
  bool is_interactive = false;
};

class Runner {
 public:
  Runner(std::unique_ptr<Backend> backend, ModelPackage package, LoadedCut cut)
      : backend_(std::move(backend)), package_(std::move(package)), cut_(std::move(cut)) {}

  const LoadedCut& cut() const { return cut_; }
  const BackendInfo& info() const { return backend_->info(); }

  Batch Make(const std::string& spec) const { return *MakeBatch(spec, package_.config); }

  double Time(const Batch& batch) {
    outputs_.resize(static_cast<size_t>(batch.num_sequences()) * cut_.num_outputs);
    const auto start = std::chrono::steady_clock::now();
    const absl::Status status = backend_->Run(cut_.cut, batch, outputs_);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    if (!status.ok()) {
      std::cerr << status << "\n";
      std::exit(1);
    }
    return elapsed.count();
  }

  const std::vector<float>& outputs() const { return outputs_; }

 private:
  std::unique_ptr<Backend> backend_;
  ModelPackage package_;
  LoadedCut cut_;
  std::vector<float> outputs_;
};

absl::StatusOr<ModelPackage> LoadPackage(const Options& options) {
  if (options.variant.empty()) return LoadModelPackage(options.model);
  absl::StatusOr<FamilyFolder> family = LoadFamilyFolder(options.model);
  if (!family.ok()) return family.status();
  for (ModelPackage& package : family->variants) {
    if (package.id == options.variant) return std::move(package);
  }
  for (const VariantProblem& problem : family->problems) {
    if (problem.name == options.variant) return problem.status;
  }
  return absl::NotFoundError(absl::StrCat(options.model, ": expected a variant \"", options.variant,
                                          "\", got none of that name"));
}

absl::StatusOr<Runner> Load(const Options& options) {
  absl::StatusOr<ModelPackage> package = LoadPackage(options);
  if (!package.ok()) return package.status();
  if (!options.format.empty()) package->format = kFormats.at(options.format);
  auto backend = CreateBackend({.threads = options.threads,
                                .pinning = Pinning::kAuto,
                                .cpu_isa = options.isa,
                                .limits = {.max_tokens = 16384,
                                           .max_sequences = 512,
                                           .max_sequence_tokens = package->config.max_positions}});
  if (!backend.ok()) return backend.status();
  if (const std::vector<int>& cores = (*backend)->info().cores; !cores.empty()) {
    PinThisThread(cores.front());
  }
  absl::StatusOr<LoadedCut> cut = (*backend)->Load(*package);
  if (!cut.ok()) return cut.status();
  return Runner(*std::move(backend), *std::move(package), *std::move(cut));
}

Json Answer(Runner& runner, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::string spec;
  int repeats = 1;
  words >> command >> spec >> repeats;
  const Batch batch = runner.Make(spec);
  if (command == "describe") {
    return {{"token_ids", batch.token_ids},
            {"token_type_ids", batch.token_type_ids},
            {"sequence_offsets", batch.sequence_offsets}};
  }
  if (command == "score") {
    runner.Time(batch);
    return {{"outputs", runner.outputs()}};
  }
  std::vector<double> seconds;
  seconds.reserve(repeats);
  for (int i = 0; i < repeats; ++i) seconds.push_back(runner.Time(batch));
  return {{"seconds", seconds}};
}

Json Measure(Runner& runner, const std::string& spec, double seconds) {
  const Batch batch = runner.Make(spec);
  std::vector<double> times;
  for (double warm = 0; warm < 0.5;) warm += runner.Time(batch);
  for (double total = 0; total < seconds; total += times.back())
    times.push_back(runner.Time(batch));
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  return {{"batch", spec},
          {"tokens", batch.num_tokens()},
          {"runs", times.size()},
          {"median_ms", median * 1e3},
          {"best_ms", times.front() * 1e3},
          {"tokens_per_second", batch.num_tokens() / median}};
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Times the CPU engine on a model folder");
  app.add_option("--model", options.model, "model folder, or family")->required();
  app.add_option("--variant", options.variant, "id in the family that --model then is");
  app.add_option("--format", options.format, "f32, bf16, f16, int8; default: the model's own")
      ->check(CLI::IsMember(kFormats));
  app.add_option("--isa", options.isa, "auto, amx, avx512_fp16, avx512_vnni, avx2 or portable");
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber);
  app.add_option("--batch", options.batches, "1x128,16x128,rag32")->delimiter(',');
  app.add_option("--seconds", options.seconds, "measured time a batch");
  app.add_flag("--interactive", options.is_interactive, "answer commands on standard input");
  CLI11_PARSE(app, argc, argv);
  absl::StatusOr<Runner> runner = Load(options);
  if (!runner.ok()) {
    std::cerr << runner.status() << "\n";
    return 1;
  }
  std::cout << Json{{"isa", runner->info().isa},
                    {"threads", runner->info().threads},
                    {"format", options.format.empty() ? "own" : options.format},
                    {"packed_bytes", runner->cut().packed_bytes},
                    {"kernels", runner->cut().kernels}}
            << std::endl;
  if (options.is_interactive) {
    for (std::string line; std::getline(std::cin, line);) {
      std::cout << Answer(*runner, line) << std::endl;
    }
    return 0;
  }
  for (const std::string& spec : options.batches) {
    std::cout << Measure(*runner, spec, options.seconds) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace tailor::bench

int main(int argc, char** argv) { return tailor::bench::Main(argc, argv); }
