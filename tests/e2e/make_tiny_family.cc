// SPDX-License-Identifier: Apache-2.0
// `make_tiny_family FOLDER [NUM_LABELS]`: the family of test_server.h, for tests of the binary.
#include <cstdio>
#include <cstdlib>

#include "tests/e2e/tiny_family.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: make_tiny_family FOLDER [NUM_LABELS]\n");
    return 64;
  }
  tailor::testing::WriteTinyFamily(argv[1], argc == 3 ? std::atoi(argv[2]) : 1);
  return 0;
}
