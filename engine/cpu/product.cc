// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu/product.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status_macros.h"
#include "oneapi/dnnl/dnnl.hpp"

// clang-16 of Debian comes without <omp.h>; these two are stable C symbols of libgomp.
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int);

namespace tailor {
namespace {

using dnnl::memory;

// A oneDNN primitive keeps the thread count of its creation. With one, it runs on the caller and no
// second pool of threads is ever woken; the engine's own team divides the rows.
class SingleThreadedOneDnn {
 public:
  SingleThreadedOneDnn() : previous_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~SingleThreadedOneDnn() { omp_set_num_threads(previous_); }
  SingleThreadedOneDnn(const SingleThreadedOneDnn&) = delete;
  SingleThreadedOneDnn& operator=(const SingleThreadedOneDnn&) = delete;

 private:
  const int previous_;
};

dnnl::cpu_isa OneDnnIsa(CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kPortable:
      return dnnl::cpu_isa::sse41;
    case CpuIsa::kAvx2:
      return dnnl::cpu_isa::avx2;
    case CpuIsa::kAvx512Vnni:
    case CpuIsa::kAvx512Fp16:
      return dnnl::cpu_isa::avx512_core_vnni;
    case CpuIsa::kAmx:
      return dnnl::cpu_isa::avx512_core_amx;
  }
  return dnnl::cpu_isa::sse41;
}

bool Includes(dnnl::cpu_isa isa, dnnl::cpu_isa part) {
  return (static_cast<unsigned>(isa) & static_cast<unsigned>(part)) == static_cast<unsigned>(part);
}

const char* TypeName(ProductType type) {
  switch (type) {
    case ProductType::kF32:
      return "f32";
    case ProductType::kBf16:
      return "bf16";
    case ProductType::kInt8:
      return "int8";
  }
  return "?";
}

std::string SpecName(const ProductSpec& spec) {
  return absl::StrCat(spec.out, "x", spec.in, " ", TypeName(spec.type));
}

memory::data_type InputType(ProductType type) {
  switch (type) {
    case ProductType::kF32:
      return memory::data_type::f32;
    case ProductType::kBf16:
      return memory::data_type::bf16;
    case ProductType::kInt8:
      return memory::data_type::s8;
  }
  return memory::data_type::f32;
}

memory::data_type OutputType(ProductType type) {
  return type == ProductType::kInt8 ? memory::data_type::s32 : memory::data_type::f32;
}

bool IsReference(const std::string& implementation) {
  return absl::StrContains(implementation, "ref");
}

// oneDNN has two primitives for the same arithmetic, which block it differently. On AMX its inner
// product in bf16 is up to a quarter faster for narrow outputs and its matmul up to twice for wide
// ones; in int8 the inner product is never slower; in f32 they are equal (docs/adr/0004).
enum class Kind { kMatmul, kInnerProduct };

Kind PreferredKind(const ProductSpec& spec) {
  switch (spec.type) {
    case ProductType::kF32:
      return Kind::kMatmul;
    case ProductType::kBf16:
      return spec.out <= 1536 ? Kind::kInnerProduct : Kind::kMatmul;
    case ProductType::kInt8:
      return Kind::kInnerProduct;
  }
  return Kind::kMatmul;
}

// A matmul's weights are [in, out], an inner product's [out, in].
memory::desc WeightDesc(const ProductSpec& spec, Kind kind, memory::data_type type,
                        memory::format_tag matmul, memory::format_tag inner_product) {
  return kind == Kind::kInnerProduct ? memory::desc({spec.out, spec.in}, type, inner_product)
                                     : memory::desc({spec.in, spec.out}, type, matmul);
}

// One-dimensional for an inner product, one row for a matmul.
memory::desc BiasDesc(const ProductSpec& spec, Kind kind) {
  return kind == Kind::kInnerProduct
             ? memory::desc({spec.out}, memory::data_type::f32, memory::format_tag::a)
             : memory::desc({1, spec.out}, memory::data_type::f32, memory::format_tag::ab);
}

// Largest first: it decides the layout of the weights, and the others must accept it.
std::vector<int> Buckets(ProductType type) {
  std::vector<int> buckets;
  for (int rows = MaxRows(type); rows > 0; --rows) {
    if (ProductRows(rows) == rows) buckets.push_back(rows);
  }
  return buckets;
}

}  // namespace

struct PackedMatrix::Impl {
  memory weight;
  memory bias;  // empty without one
  size_t bytes = 0;
};

PackedMatrix::PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;
PackedMatrix::~PackedMatrix() = default;

size_t PackedMatrix::bytes() const { return impl_ == nullptr ? 0 : impl_->bytes; }

struct Product::Impl {
  // One bucket's primitive, and for each thread the three memories whose pointers change from call
  // to call.
  struct Bucket {
    dnnl::primitive primitive;
    struct Pointers {
      memory x, y, scratch;
    };
    std::vector<Pointers> threads;
  };

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  Kind kind = Kind::kMatmul;
  memory::desc weight;
  std::vector<dnnl::stream> streams;  // one a thread
  std::vector<Bucket> buckets;
  std::vector<int> bucket_of_rows;  // [MaxRows + 1]

  // Adds a bucket for `rows`; returns what oneDNN chose and the scratch that it wants.
  std::pair<std::string, size_t> Add(const ProductSpec& spec, int rows, int threads) {
    const memory::desc x({rows, spec.in}, InputType(spec.type), memory::format_tag::ab);
    const memory::desc y({rows, spec.out}, OutputType(spec.type), memory::format_tag::ab);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (spec.accumulates) {
      dnnl::post_ops sum;
      sum.append_sum(1.0F);
      attributes.set_post_ops(sum);
    }
    Bucket& bucket = buckets.emplace_back();
    memory::desc scratch;
    std::string implementation;
    const auto take = [&](const auto& chosen) {
      weight = chosen.weights_desc();
      scratch = chosen.scratchpad_desc();
      implementation = chosen.impl_info_str();
    };
    if (kind == Kind::kInnerProduct) {
      const auto forward = dnnl::prop_kind::forward_inference;
      const dnnl::inner_product_forward::primitive_desc chosen(
          spec.has_bias
              ? dnnl::inner_product_forward::desc(forward, x, weight, BiasDesc(spec, kind), y)
              : dnnl::inner_product_forward::desc(forward, x, weight, y),
          attributes, engine);
      bucket.primitive = dnnl::inner_product_forward(chosen);
      take(chosen);
    } else {
      const dnnl::matmul::primitive_desc chosen(
          spec.has_bias ? dnnl::matmul::desc(x, weight, BiasDesc(spec, kind), y)
                        : dnnl::matmul::desc(x, weight, y),
          attributes, engine);
      bucket.primitive = dnnl::matmul(chosen);
      take(chosen);
    }
    for (int t = 0; t < threads; ++t) {
      bucket.threads.push_back({memory(x, engine, DNNL_MEMORY_NONE),
                                memory(y, engine, DNNL_MEMORY_NONE),
                                memory(scratch, engine, DNNL_MEMORY_NONE)});
    }
    return {implementation, scratch.get_size()};
  }
};

Product::Product() = default;
Product::~Product() = default;

absl::StatusOr<PackedMatrix> Product::Pack(std::span<const float> weight,
                                           std::span<const float> bias) const {
  TAILOR_CHECK(weight.size() == static_cast<size_t>(spec_.out) * spec_.in &&
               spec_.type != ProductType::kInt8);
  return PackFrom(weight.data(), bias);
}

absl::StatusOr<PackedMatrix> Product::Pack(std::span<const int8_t> codes) const {
  TAILOR_CHECK(codes.size() == static_cast<size_t>(spec_.out) * spec_.in &&
               spec_.type == ProductType::kInt8 && !spec_.has_bias);
  return PackFrom(codes.data(), {});
}

absl::StatusOr<PackedMatrix> Product::PackFrom(const void* weight,
                                               std::span<const float> bias) const {
  const SingleThreadedOneDnn single_threaded;
  try {
    PackedMatrix matrix;
    matrix.impl_ = std::make_unique<PackedMatrix::Impl>();
    PackedMatrix::Impl& packed = *matrix.impl_;
    // [out, in] row-major is [in, out] column-major.
    const bool is_int8 = spec_.type == ProductType::kInt8;
    const memory::desc stored =
        WeightDesc(spec_, impl_->kind, is_int8 ? memory::data_type::s8 : memory::data_type::f32,
                   memory::format_tag::ba, memory::format_tag::ab);
    memory source(stored, impl_->engine, const_cast<void*>(weight));
    packed.weight = memory(impl_->weight, impl_->engine);
    dnnl::stream stream(impl_->engine);
    dnnl::reorder(source, packed.weight).execute(stream, source, packed.weight);
    stream.wait();
    packed.bytes = impl_->weight.get_size();
    if (spec_.has_bias) {
      TAILOR_CHECK(bias.size() == static_cast<size_t>(spec_.out));
      packed.bias = memory(BiasDesc(spec_, impl_->kind), impl_->engine);
      std::copy(bias.begin(), bias.end(), static_cast<float*>(packed.bias.get_data_handle()));
      packed.bytes += bias.size_bytes();
    }
    return matrix;
  } catch (const dnnl::error& error) {
    return absl::InternalError(
        absl::StrCat("oneDNN could not pack ", SpecName(spec_), ": ", error.what()));
  }
}

bool Product::Run(int thread, const PackedMatrix& matrix, const void* x, int rows, void* y,
                  std::byte* scratch) const {
  const Impl::Bucket& bucket = impl_->buckets[impl_->bucket_of_rows[rows]];
  const Impl::Bucket::Pointers& pointers = bucket.threads[thread];
  const dnnl_stream_t stream = impl_->streams[thread].get();
  const auto point = [stream](const memory& m, const void* data) {
    return dnnl_memory_set_data_handle_v2(m.get(), const_cast<void*>(data), stream) == dnnl_success;
  };
  if (!point(pointers.x, x) || !point(pointers.y, y) || !point(pointers.scratch, scratch)) {
    return false;
  }
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, pointers.x.get()},
                                       {DNNL_ARG_WEIGHTS, matrix.impl_->weight.get()},
                                       {DNNL_ARG_DST, pointers.y.get()},
                                       {DNNL_ARG_SCRATCHPAD, pointers.scratch.get()},
                                       {DNNL_ARG_BIAS, matrix.impl_->bias.get(true)}};
  return dnnl_primitive_execute(bucket.primitive.get(), stream, spec_.has_bias ? 5 : 4,
                                arguments) == dnnl_success;
}

ProductLibrary::ProductLibrary(CpuIsa isa, int threads) : isa_(isa), threads_(threads) {}
ProductLibrary::~ProductLibrary() = default;

absl::StatusOr<std::unique_ptr<ProductLibrary>> ProductLibrary::Create(CpuIsa isa, bool is_forced,
                                                                       int threads) {
  const dnnl::cpu_isa wanted = OneDnnIsa(isa);
  // The call fails when the limit is fixed already; what counts is the limit that holds afterwards.
  if (is_forced) dnnl_set_max_cpu_isa(static_cast<dnnl_cpu_isa_t>(wanted));
  const dnnl::cpu_isa effective = dnnl::get_effective_cpu_isa();
  if (!Includes(effective, wanted) || (is_forced && effective != wanted)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cpu_isa ", CpuIsaName(isa),
                     ": oneDNN's limit, one for the process and fixed at first use, is 0x",
                     absl::Hex(static_cast<unsigned>(effective)), ", expected 0x",
                     absl::Hex(static_cast<unsigned>(wanted))));
  }
  return std::unique_ptr<ProductLibrary>(new ProductLibrary(isa, threads));
}

void Product::Create(int threads, bool prefers_matmul) {
  impl_ = std::make_unique<Impl>();
  implementation_.clear();
  impl_->kind = prefers_matmul ? Kind::kMatmul : PreferredKind(spec_);
  impl_->weight = WeightDesc(spec_, impl_->kind, InputType(spec_.type), memory::format_tag::any,
                             memory::format_tag::any);
  for (int t = 0; t < threads; ++t) impl_->streams.emplace_back(impl_->engine);
  const int max_rows = MaxRows(spec_.type);
  impl_->bucket_of_rows.assign(max_rows + 1, 0);
  for (const int rows : Buckets(spec_.type)) {
    const auto [implementation, scratch_bytes] = impl_->Add(spec_, rows, threads);
    if (spec_.type == ProductType::kInt8 && rows < max_rows && IsReference(implementation)) {
      // Few rows of a small matrix: oneDNN finds AMX not worth it. The next bucket then serves
      // them.
      impl_->buckets.pop_back();
    } else if (!absl::StrContains(implementation_, implementation)) {
      absl::StrAppend(&implementation_, implementation_.empty() ? "" : ", ", implementation);
    }
    scratch_bytes_ = std::max(scratch_bytes_, scratch_bytes);
    impl_->bucket_of_rows[rows] = static_cast<int>(impl_->buckets.size()) - 1;
  }
  for (int rows = 1; rows <= max_rows; ++rows) {
    impl_->bucket_of_rows[rows] = impl_->bucket_of_rows[ProductRows(rows)];
  }
}

absl::StatusOr<const Product*> ProductLibrary::Get(const ProductSpec& spec) {
  if (const auto found = products_.find(spec); found != products_.end()) {
    return found->second.get();
  }
  const SingleThreadedOneDnn single_threaded;
  std::unique_ptr<Product> product(new Product());
  product->spec_ = spec;
  try {
    product->Create(threads_, /*prefers_matmul=*/false);
    // The inner product lacks fast kernels for few rows of some odd shapes.
    if (IsReference(product->implementation_)) {
      product->Create(threads_, /*prefers_matmul=*/true);
    }
  } catch (const dnnl::error& error) {
    return absl::FailedPreconditionError(
        absl::StrCat("oneDNN has no product for ", SpecName(spec), ": ", error.what()));
  }
  if (IsReference(product->implementation_) && isa_ != CpuIsa::kPortable) {
    return absl::FailedPreconditionError(absl::StrCat("product ", SpecName(spec),
                                                      ": expected kernels of this host, got ",
                                                      product->implementation_));
  }
  return products_.emplace(spec, std::move(product)).first->second.get();
}

}  // namespace tailor
