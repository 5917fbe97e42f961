// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/response_building.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "server/pipeline/activation.h"

namespace tailor {
namespace {

int64_t Micros(Duration d) {
  return std::chrono::duration_cast<std::chrono::microseconds>(d).count();
}

std::span<const float> Row(const Answer& answer, size_t row) {
  const auto width = static_cast<size_t>(answer.num_outputs);
  return std::span<const float>(answer.outputs).subspan(row * width, width);
}

size_t NumRows(const Answer& answer) {
  return answer.outputs.size() / static_cast<size_t>(answer.num_outputs);
}

bool IsTruncated(const Answer& answer, size_t row) {
  return row < answer.truncated.size() && answer.truncated[row] != 0;
}

std::string LabelOf(const TaskSpec& task, size_t index) {
  return index < task.labels.size() ? task.labels[index] : "LABEL_" + std::to_string(index);
}

}  // namespace

float ScoreOf(std::span<const float> logits, const TaskSpec& task, v1::ScoreScale scale) {
  const auto index = static_cast<size_t>(task.score_index);
  if (scale == v1::SCORE_SCALE_RAW) return logits[index];
  if (scale == v1::SCORE_SCALE_SIGMOID) return Sigmoid(logits[index]);
  return ActivatedScore(logits, task);
}

void FillRank(const Answer& answer, const ServedVariant* variant,
              std::span<const ServedVariant> variants, v1::ScoreScale scale,
              v1::RankResponse* response) {
  if (variant == nullptr) return;
  response->mutable_results()->Reserve(static_cast<int>(answer.order.size()));
  for (const int32_t index : answer.order) {
    const auto row = static_cast<size_t>(index);
    v1::RankedDocument* document = response->add_results();
    document->set_index(index);
    document->set_score(ScoreOf(Row(answer, row), variant->task, scale));
    document->set_truncated(IsTruncated(answer, row));
    if (!answer.variants.empty()) {
      document->set_variant(variants[static_cast<size_t>(answer.variants[row])].id);
    }
  }
}

void FillScore(const Answer& answer, const ServedVariant* variant, v1::ScoreScale scale,
               v1::ScoreResponse* response) {
  if (variant == nullptr) return;
  const size_t rows = NumRows(answer);
  for (size_t row = 0; row < rows; ++row) {
    response->add_scores(ScoreOf(Row(answer, row), variant->task, scale));
    response->add_truncated(IsTruncated(answer, row));
  }
}

void FillEmbed(const Answer& answer, v1::EmbedResponse* response) {
  const size_t rows = NumRows(answer);
  for (size_t row = 0; row < rows; ++row) {
    const std::span<const float> values = Row(answer, row);
    response->add_embeddings()->mutable_values()->Assign(values.begin(), values.end());
  }
}

void FillClassify(const Answer& answer, const ServedVariant* variant, bool raw_scores,
                  v1::ClassifyResponse* response) {
  if (variant == nullptr) return;
  const OutputActivation activation =
      raw_scores ? OutputActivation::kNone : variant->task.activation;
  const size_t rows = NumRows(answer);
  for (size_t row = 0; row < rows; ++row) {
    const std::vector<float> scores = Activated(Row(answer, row), activation);
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    v1::Classification* result = response->add_results();
    for (const size_t index : order) {
      v1::ClassScore* entry = result->add_classes();
      entry->set_label(LabelOf(variant->task, index));
      entry->set_score(scores[index]);
    }
  }
}

void FillTokenize(const v1::TokenizeRequest& request, const Tokenizer& tokenizer,
                  v1::TokenizeResponse* response) {
  const std::vector<std::string>& vocabulary = tokenizer.vocabulary();
  EncodedText encoded;
  for (const std::string& text : request.texts()) {
    tokenizer.EncodeText(text, kNoTokenLimit, &encoded);
    v1::TokenizedText* result = response->add_results();
    const auto add = [&](int32_t id) {
      result->add_ids(id);
      result->add_tokens(vocabulary[static_cast<size_t>(id)]);
    };
    if (request.add_special_tokens()) add(tokenizer.markers().start);
    for (const int32_t id : encoded.ids) add(id);
    if (request.add_special_tokens()) add(tokenizer.markers().separator);
  }
}

void FillExecution(const Answer& answer, const ServedVariant* variant, Duration total,
                   v1::Execution* execution) {
  execution->set_budget_us(Micros(answer.budget));
  execution->set_total_us(Micros(total));
  if (variant == nullptr) return;
  execution->set_variant(variant->id);
  if (!answer.variants.empty()) {
    execution->set_quality(answer.cascade_quality);
  } else if (variant->quality) {
    execution->set_quality(variant->quality->ndcg10);
  }
  execution->set_reason(std::string(ReasonName(answer.reason)));
  execution->set_predicted_us(Micros(answer.predicted));
  execution->set_queue_us(Micros(answer.queue));
  execution->set_compute_us(Micros(answer.compute));
  execution->set_tokens(answer.tokens);
  execution->set_truncated(
      static_cast<int32_t>(std::count_if(answer.truncated.begin(), answer.truncated.end(),
                                         [](uint8_t truncated) { return truncated != 0; })));
}

}  // namespace tailor
