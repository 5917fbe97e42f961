# SPDX-License-Identifier: Apache-2.0
# The one place that knows how a target of this project is compiled.
#
#   tailor_library(NAME server_text SRCS a.cc HDRS a.h [DEPS target...])   -> target tailor_server_text, alias tailor::server_text
#   tailor_binary(NAME tailor SRCS main.cc [DEPS ...])
#   tailor_test(NAME a_test SRCS a_test.cc [DEPS ...] [LABEL label] [WORKING_DIRECTORY dir])
#   tailor_benchmark(NAME a_bench SRCS a_bench.cc [DEPS ...])
#   tailor_fuzzer(NAME a_fuzz SRCS a_fuzz.cc [DEPS ...])
#   tailor_isa_sources(TARGET t FLAGS -mavx2 -mfma SRCS f_avx2.cc)   sources that need an ISA above the baseline
#
# Baseline ISA: x86-64-v2. Anything above it lives in files named after its ISA, reached by run-time choice.

function(tailor_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC "${CMAKE_SOURCE_DIR}")
  set(warnings -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion)
  set(cxx_options
    -march=x86-64-v2 ${warnings} -Wpedantic -Wnon-virtual-dtor -Werror=switch -Wvla
    $<$<BOOL:${TAILOR_WERROR}>:-Werror>
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
    # GCC 12 warns about members that a designated initialiser leaves to their defaults.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers>
    # GCC 12 takes the memory of a vector that it inlined for memory of unknown origin.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-free-nonheap-object>)
  # nvcc hands what it does not know on to the host compiler; what it writes for that one is not pedantic.
  # CMake 3.25 does not know that nvcc has C++20.
  set(cuda_options -std=c++20 -march=x86-64-v2 ${warnings} $<$<BOOL:${TAILOR_WERROR}>:-Werror=all-warnings>)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:${cxx_options}>" "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_options}>")
  if(TAILOR_BUILD_FUZZERS)
    # Coverage feedback must come from the code under test, not only from the fuzz target's file.
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(TAILOR_SANITIZE)
    list(JOIN TAILOR_SANITIZE "," sanitizers)
    target_compile_options(${target} PUBLIC -fsanitize=${sanitizers} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${sanitizers})
  endif()
endfunction()

function(tailor_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;HDRS;DEPS" ${ARGN})
  set(target tailor_${ARG_NAME})
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_SRCS} ${ARG_HDRS})
    tailor_compile_options(${target})
    target_link_libraries(${target} PUBLIC ${ARG_DEPS})
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${CMAKE_SOURCE_DIR}")
    target_compile_features(${target} INTERFACE cxx_std_20)
    target_link_libraries(${target} INTERFACE ${ARG_DEPS})
  endif()
  add_library(tailor::${ARG_NAME} ALIAS ${target})
endfunction()

function(tailor_binary)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SRCS})
  tailor_compile_options(${ARG_NAME})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_DEPS})
endfunction()

function(tailor_test)
  cmake_parse_arguments(ARG "" "NAME;WORKING_DIRECTORY;LABEL" "SRCS;DEPS" ${ARGN})
  if(NOT TAILOR_BUILD_TESTS)
    return()
  endif()
  tailor_binary(NAME ${ARG_NAME} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_WORKING_DIRECTORY)
    set(ARG_WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  endif()
  if(ARG_LABEL STREQUAL gpu)
    add_dependencies(gpu_tests ${ARG_NAME})
  endif()
  gtest_discover_tests(${ARG_NAME} WORKING_DIRECTORY "${ARG_WORKING_DIRECTORY}"
    DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT 300)
endfunction()

function(tailor_benchmark)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  if(TAILOR_BUILD_BENCHMARKS)
    tailor_binary(NAME ${ARG_NAME} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS} benchmark::benchmark)
  endif()
endfunction()

function(tailor_fuzzer)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  if(TAILOR_BUILD_FUZZERS)
    tailor_binary(NAME ${ARG_NAME} SRCS ${ARG_SRCS} DEPS ${ARG_DEPS})
    target_compile_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

function(tailor_isa_sources)
  cmake_parse_arguments(ARG "" "TARGET" "SRCS;FLAGS" ${ARGN})
  target_sources(${ARG_TARGET} PRIVATE ${ARG_SRCS})
  list(JOIN ARG_FLAGS " " flags)
  set_property(SOURCE ${ARG_SRCS} APPEND_STRING PROPERTY COMPILE_FLAGS " ${flags}")
endfunction()
