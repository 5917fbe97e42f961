// SPDX-License-Identifier: Apache-2.0
// The forward pass on the GPU, one call a step.
#pragma once

#include "engine/api/batch.h"
#include "engine/cuda/call_chain.h"
#include "engine/cuda/device_model.h"
#include "engine/cuda/device_workspace.h"

namespace tailor::cuda {

// x * weight^T of a linear's matrices [first, first + count): columns [i * out, (i + 1) * out) of y
// are the i-th one's. x: [rows, linear.in]; y: [rows, count * linear.out], both without gaps and
// with room for RoundedRows(rows).
MatrixProduct ProductOf(const DeviceLinear& linear, int first, int count, const void* x, int rows,
                        void* y);

// Queues the whole pass of a batch that fits the workspace, from its tokens to host().outputs of
// the workspace: logits, or embeddings before they are normalised. Errors stay in the chain.
void QueueForwardPass(const DeviceModel& model, const Batch& batch,
                      const DeviceWorkspace& workspace, CallChain& calls);

}  // namespace tailor::cuda
