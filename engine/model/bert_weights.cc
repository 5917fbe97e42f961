// SPDX-License-Identifier: Apache-2.0
#include "engine/model/bert_weights.h"

namespace tailor {
namespace {

template <typename Pointer, typename Weights>
std::vector<Pointer> Products(Weights& weights) {
  std::vector<Pointer> products;
  for (auto& a : weights.attention) {
    products.insert(products.end(), {&a.query, &a.key, &a.value, &a.output});
  }
  for (auto& f : weights.ffn) products.insert(products.end(), {&f.in, &f.out});
  return products;
}

}  // namespace

std::vector<LinearWeights*> EncoderProducts(BertWeights& weights) {
  return Products<LinearWeights*>(weights);
}

std::vector<const LinearWeights*> EncoderProducts(const BertWeights& weights) {
  return Products<const LinearWeights*>(weights);
}

}  // namespace tailor
