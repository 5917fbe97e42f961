// SPDX-License-Identifier: Apache-2.0
// The device code of every KernelCall.
#pragma once

#include "engine/cuda/kernels/attention.cuh"
#include "engine/cuda/kernels/bias_activation.cuh"
#include "engine/cuda/kernels/kernel_call.h"
#include "engine/cuda/kernels/layer_norm.cuh"
#include "engine/cuda/kernels/pool_rows.cuh"
