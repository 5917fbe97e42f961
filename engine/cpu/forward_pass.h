// SPDX-License-Identifier: Apache-2.0
// The forward pass on the CPU, one call a fused step. Who computes which rows: split_plan.h,
// sequence_group.h. What a step does: encoder_steps.h and below it kernels/*.h and product.h. Where
// the rows are: workspace.h.
#pragma once

#include <span>

#include "engine/api/batch.h"
#include "engine/cpu/kernels/kernel_set.h"
#include "engine/cpu/packed_model.h"
#include "engine/cpu/split_plan.h"
#include "engine/cpu/thread_team.h"
#include "engine/cpu/workspace.h"

namespace tailor {

// One batch on its way through one model, the same for every thread of the team.
struct ForwardPassArgs {
  const PackedModel& model;
  const KernelSet& kernels;
  const Batch& batch;     // not empty, within the limits of the workspace
  const SplitPlan& plan;  // of this batch, for as many threads as the team has
  ThreadTeam& team;
  Workspace& workspace;      // grown for the model; of one pass at a time
  std::span<float> outputs;  // [num_sequences, num_outputs] logits or embeddings
};

// The part of `thread`: takes the rows that the plan gives it through the layers (Encode), then
// the first rows that are left of the last layer through the rest of it and the head (Finish).
//
// Inside team.Run every member calls it once, with its own number and equal args, also where the
// plan leaves it nothing: members that share a batch wait for each other. All else that they write
// at the same time is disjoint. Allocates nothing. False when oneDNN refused one of this thread's
// products; the outputs are then arbitrary.
bool RunForwardPass(const ForwardPassArgs& args, int thread);

}  // namespace tailor
