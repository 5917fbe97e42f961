// SPDX-License-Identifier: Apache-2.0
// y (+)= x * weight^T (+ bias) for any number of rows: the products of the encoder, made by oneDNN.
// linear_step.h makes steps of the forward pass of them.
// This is the only header of the engine that the rest reaches oneDNN through.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "engine/cpu/cpu_isa.h"

namespace tailor {

// Of inputs and weights. Sums and outputs are f32; of kInt8 they are int32, and exact with VNNI or
// AMX (below, oneDNN adds pairs of products in 16 bits, which saturate). The engine has own
// products for all but kF32; product_bench holds them beside these.
enum class ProductType { kF32, kBf16, kInt8 };

struct ProductSpec {
  int out = 0;
  int in = 0;
  ProductType type = ProductType::kF32;
  bool has_bias = false;     // added by the product; otherwise the kernel after it adds it
  bool accumulates = false;  // y += instead of y =; neither of the two with kInt8

  friend auto operator<=>(const ProductSpec&, const ProductSpec&) = default;
};

// Rows that one call multiplies at most: 256 were 5 to 10 % faster than 128 and 64 on 12x768 and
// 6x384 (docs/adr/0004), because each call streams the weights from the third-level cache again.
constexpr int kMaxProductRows = 256;

// The same for kInt8, whose weights stay in the second-level cache: 64 rows are as fast as 256 and
// their int32 sums stay there too.
constexpr int kMaxInt8Rows = 64;

constexpr int MaxRows(ProductType type) {
  return type == ProductType::kInt8 ? kMaxInt8Rows : kMaxProductRows;
}

// Rows that a call with `rows` really reads and writes: a primitive exists for 1, 2, multiples of 4
// up to 32 and multiples of 16 above.
constexpr int ProductRows(int rows) {
  return rows <= 2 ? rows : rows <= 32 ? (rows + 3) / 4 * 4 : (rows + 15) / 16 * 16;
}

// A weight matrix in the layout that its product reads. Bound to the product that packed it.
class PackedMatrix {
 public:
  PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  PackedMatrix& operator=(PackedMatrix&&) noexcept;
  ~PackedMatrix();

  size_t bytes() const;

 private:
  friend class Product;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The primitives of one spec, one for each bucket of rows; shared by all layers of that shape.
// Pack is for one thread. Run may be called by several threads at once, each with its own number.
class Product {
 public:
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  const ProductSpec& spec() const { return spec_; }
  // What oneDNN chose, for example "brg:avx512_core".
  const std::string& implementation() const { return implementation_; }
  // Bytes that Run needs as scratch, 64-byte aligned.
  size_t scratch_bytes() const { return scratch_bytes_; }

  // weight: [out, in] row-major; bias: [out], read only when the spec has one.
  absl::StatusOr<PackedMatrix> Pack(std::span<const float> weight,
                                    std::span<const float> bias) const;
  // The same for kInt8, without a bias.
  absl::StatusOr<PackedMatrix> Pack(std::span<const int8_t> codes) const;

  // x: [rows, in] of the spec's type; y: [rows, out] f32, or int32 for kInt8. rows <=
  // MaxRows(type). Reads and writes ProductRows(rows) rows, for kInt8 up to kMaxInt8Rows: what lies
  // behind the last one is arbitrary. `thread` is below the count given to the library. False when
  // oneDNN reports an error.
  bool Run(int thread, const PackedMatrix& matrix, const void* x, int rows, void* y,
           std::byte* scratch) const;

 private:
  friend class ProductLibrary;
  struct Impl;
  Product();
  absl::StatusOr<PackedMatrix> PackFrom(const void* weight, std::span<const float> bias) const;
  // Makes every primitive anew; throws dnnl::error.
  void Create(int threads, bool prefers_matmul);

  ProductSpec spec_;
  std::string implementation_;
  size_t scratch_bytes_ = 0;
  std::unique_ptr<Impl> impl_;
};

// Makes each product once. Single-threaded use, at Load.
class ProductLibrary {
 public:
  // oneDNN keeps one limit on its instruction set for the whole process, fixed at its first use.
  // is_forced: set that limit to `isa`; FailedPrecondition when it is already fixed at another one,
  // or when oneDNN cannot reach `isa` on this host.
  static absl::StatusOr<std::unique_ptr<ProductLibrary>> Create(CpuIsa isa, bool is_forced,
                                                                int threads);
  ~ProductLibrary();

  // FailedPrecondition when oneDNN has only its reference implementation for the shape, unless the
  // ISA is portable. The pointer lives as long as the library.
  absl::StatusOr<const Product*> Get(const ProductSpec& spec);

 private:
  ProductLibrary(CpuIsa isa, int threads);

  const CpuIsa isa_;
  const int threads_;
  std::map<ProductSpec, std::unique_ptr<Product>> products_;
};

}  // namespace tailor
