# SPDX-License-Identifier: Apache-2.0
# The CUDA language and cuda_package: the runtime and cuBLASLt, for engine/cuda alone. The toolkit is
# the one named by CUDAToolkit_ROOT or CUDA_HOME, else the nvcc on PATH, else the wheels that
# tools/setup_cuda.sh installed.
find_program(TAILOR_NVCC nvcc
  HINTS "${CUDAToolkit_ROOT}" ENV CUDAToolkit_ROOT ENV CUDA_HOME
  PATHS "${CMAKE_SOURCE_DIR}/.venv-cuda/cuda"
  PATH_SUFFIXES bin)
if(NOT TAILOR_NVCC)
  message(FATAL_ERROR "cuda: expected nvcc on PATH, in CUDA_HOME or in .venv-cuda, got none; run tools/setup_cuda.sh")
endif()
set(CMAKE_CUDA_COMPILER "${TAILOR_NVCC}")
set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
# Machine code for A100, L4/L40S/RTX 40 and H100/H200; compute_90 for the driver to translate on newer GPUs.
set(CMAKE_CUDA_ARCHITECTURES 80-real 89-real 90a-real 90-virtual CACHE STRING "GPU architectures")
enable_language(CUDA)
# FindCUDAToolkit of CMake 3.25 fails with CUDA 13, and wheels carry libcublasLt.so.13 under no shorter name.
find_path(CUDA_INCLUDE_DIR cublasLt.h HINTS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} REQUIRED)
find_library(CUDA_RUNTIME_LIBRARY cudart_static HINTS ${CMAKE_CUDA_HOST_IMPLICIT_LINK_DIRECTORIES} REQUIRED)
find_library(CUBLASLT_LIBRARY NAMES cublasLt libcublasLt.so.13 HINTS ${CMAKE_CUDA_HOST_IMPLICIT_LINK_DIRECTORIES} REQUIRED)
add_library(cuda_package INTERFACE)
target_include_directories(cuda_package SYSTEM INTERFACE "${CUDA_INCLUDE_DIR}")
target_link_libraries(cuda_package INTERFACE "${CUBLASLT_LIBRARY}" "${CUDA_RUNTIME_LIBRARY}" Threads::Threads ${CMAKE_DL_LIBS} rt)
