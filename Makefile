# SPDX-License-Identifier: Apache-2.0
# The phone book of the project: `make help`.
SHELL := /bin/bash
PRESET ?= release
BUILD := build/$(PRESET)
JOBS ?= $(shell nproc)
FAMILY ?= models/packages

.PHONY: help setup setup-python build build-tailor build-cuda demo serve test test-gcc test-cpp test-gpu asan tsan lint fmt bench \
        bench-engine bench-kernels bench-service bench-policies bench-cascade bench-real bench-fault bench-overhead \
        goldens fuzz image clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' Makefile

setup:  ## install what the build needs (apt); SKIP_APT=1 only checks
	@tools/setup.sh build

setup-python: setup  ## .venv with compress/ and what the Python tests need
	@tools/setup_python.sh

build: setup  ## release build into build/release
	@[ -f $(BUILD)/build.ninja ] || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) -- -j$(JOBS)

build-tailor: setup
	@[ -f $(BUILD)/build.ninja ] || cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --target tailor -- -j$(JOBS)

build-cuda: setup  ## tailor and the GPU tests with CUDA into build/cuda (1.1 GB of wheels, no GPU); experimental
	@tools/setup_cuda.sh
	@[ -f build/cuda/build.ninja ] || cmake --preset cuda
	cmake --build --preset cuda --target tailor gpu_tests -- -j$(JOBS)
	tools/cuda_architectures.sh build/cuda

demo: build-tailor  ## rank real package descriptions under five budgets; DOCS=FILE without a network
	python3 tools/demo.py --tailor $(BUILD)/cli/tailor --family $(FAMILY) $(if $(DOCS),--documents $(DOCS))

serve: build-tailor  ## the server in the foreground on the bundled family
	exec $(BUILD)/cli/tailor serve --family $(FAMILY)

test: build setup-python  ## every test, C++ and Python, with counts
	tools/run_tests.py --build $(BUILD)

test-cpp: build  ## the C++ tests alone
	tools/run_tests.py --build $(BUILD) --no-python

test-gcc:  ## the C++ tests of a GCC 12 build
	$(MAKE) test-cpp PRESET=gcc

test-gpu: build-cuda  ## the GPU tests, then the same under compute-sanitizer; needs a GPU
	tools/run_gpu_tests.py --build build/cuda

asan:  ## the C++ tests under AddressSanitizer and UBSan
	tools/setup.sh build lint
	$(MAKE) test-cpp PRESET=asan

tsan:  ## the C++ tests under ThreadSanitizer
	tools/setup.sh build lint
	TSAN_OPTIONS=ignore_noninstrumented_modules=1 $(MAKE) test-cpp PRESET=tsan

lint: setup-python  ## formatters, static analysis, types, layers, documents
	@tools/setup.sh build lint
	@[ -f $(BUILD)/build.ninja ] || cmake --preset $(PRESET)
	@cmake --build --preset $(PRESET) --target tailor_proto -- -j$(JOBS)  # clang-tidy reads its headers
	tools/lint.sh

fmt: setup-python  ## format everything in place
	git ls-files '*.cc' '*.h' '*.cu' '*.cuh' | xargs clang-format-16 -i
	.venv/bin/ruff format compress tools tests bench
	.venv/bin/ruff check --fix compress tools tests bench

bench: bench-engine bench-service  ## every figure of docs/benchmarks.md

bench-engine: build  ## engine against its peers in the same run (10 min, 2 quiet cores)
	python3 bench/engine/compare_peers.py

bench-kernels: build  ## every product with its epilogue as a share of the tiles' peak, and the other kernels
	$(BUILD)/engine/cpu/product_bench --benchmark_min_time=0.05
	$(BUILD)/engine/cpu/cpu_kernels_bench --benchmark_min_time=0.05

bench-service: build  ## service at saturation, idle latency, start
	python3 bench/service/saturation.py
	python3 bench/service/idle_latency.py
	python3 bench/service/startup.py

bench-policies: build-tailor setup-python  ## every policy on every simulated trace: docs/policies.md (about an hour)
	.venv/bin/python bench/policies/bench_policies.py

bench-cascade: build-tailor setup-python  ## quality of a running server with and without cascades
	.venv/bin/python bench/service/cascade.py

bench-real: build-tailor setup-python  ## the same traces, real server against simulator (17 min, 2 quiet cores)
	.venv/bin/python bench/service/real_against_simulated.py

bench-fault: build-tailor setup-python  ## the server's core shared with busy loops for ten seconds
	.venv/bin/python bench/service/fault.py

bench-overhead: build  ## CPU of a call with a null engine, and what metrics cost
	python3 bench/service/overhead.py
	python3 bench/service/metrics_cost.py

goldens: setup-python  ## recreate tests/golden from PyTorch
	.venv/bin/python tools/make_goldens.py
	.venv/bin/python tools/make_linear_golden.py

fuzz:  ## 60 s of each fuzz target
	tools/setup.sh build lint
	@[ -f build/asan/build.ninja ] || cmake --preset asan
	cmake --build --preset asan -- -j$(JOBS)
	tools/fuzz.sh build/asan 60

image:  ## container image; needs a container builder, see docs/docker.md
	docker build -t tailor:latest .

clean:  ## remove build trees
	rm -rf build
