// SPDX-License-Identifier: Apache-2.0
// What the server may know of an engine: it loads variants and runs packed batches through a cut.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/api/batch.h"
#include "engine/model/model_package.h"

namespace tailor {

// Which executable form a batch runs with. A sub-network is a view of an elastic variant; variants
// that are not elastic have only sub-network 0.
struct Cut {
  int variant = 0;  // in the order of Backend::Load
  int sub_network = 0;

  friend bool operator==(const Cut&, const Cut&) = default;
};

struct BackendInfo {
  std::string device;  // "cpu", "cuda", "reference"
  std::string isa;     // what was chosen at start, for example "amx", "avx512_vnni" or "sm_90"
  int threads = 1;
  // Where the threads are kept; empty when they are not. The thread that calls Run should pin
  // itself to the first: the backend cannot know it.
  std::vector<int> cores;
  // Run may lower max_tokens, when the device's memory runs out, but not below max_sequence_tokens:
  // the thread that calls it should look again after each.
  BatchLimits limits;
  std::string choice;  // why this device, when the caller left that open; else empty
  std::string notice;  // what whoever relies on this backend should know first; mostly empty
};

// What one loaded variant costs and how it is executed; for the start-up log and tailor inspect.
struct LoadedCut {
  Cut cut;
  int num_outputs = 1;
  bool crosses_segments = false;     // its time depends on where a pair's second segment begins
  size_t packed_bytes = 0;           // weights as this backend keeps them
  std::vector<std::string> kernels;  // "attention.qkv 1152x384: brg:avx512_core", one a product
};

// Executes batches on one device. Owned by one worker and not thread-safe, except info() of which
// Run may change the limits.
// Load happens at start only. Everything that Run needs is allocated by Load or the constructor: a
// warm Run allocates nothing.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual const BackendInfo& info() const = 0;

  // Packs the weights of `package`, which need not outlive the call. FailedPrecondition when this
  // host cannot run the package's format at its own speed (bf16 without AMX): nothing is replaced
  // silently.
  virtual absl::StatusOr<LoadedCut> Load(const ModelPackage& package) = 0;

  // Runs the batch. outputs: [num_sequences, num_outputs] f32 row-major, raw logits or embeddings.
  // InvalidArgument when the batch is malformed or above the limits or outputs has another size;
  // Internal when an output is not finite; ResourceExhausted when the device's memory does not
  // suffice even for half of the batch; Unavailable when the device is lost: this backend will
  // never run again, and only a new process may.
  virtual absl::Status Run(Cut cut, const Batch& batch, std::span<float> outputs) = 0;

  // What the threads divided in the last Run: "sequences", "rows" or "outputs"; "" where one thread
  // computed all. For people who read decisions.
  virtual std::string_view last_split() const { return ""; }
};

}  // namespace tailor
