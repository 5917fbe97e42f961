// SPDX-License-Identifier: Apache-2.0
// Pipeline answers to wire messages: scales, labels, and how the answer came about.
#pragma once

#include <span>
#include <vector>

#include "base/clock.h"
#include "server/pipeline/ranker.h"
#include "server/pipeline/request.h"
#include "server/text/tokenizer.h"
#include "tailor/v1/ranker.pb.h"

namespace tailor {

// The score of one row of logits: the one at the task's score index, on the wanted scale.
// UNSPECIFIED is the activation that the family's model asks for.
float ScoreOf(std::span<const float> logits, const TaskSpec& task, v1::ScoreScale scale);

// `variant` is null when nothing had to run (no texts); then only the execution is filled.
// `variants`: all of them, for the names of a cascade's.
void FillRank(const Answer& answer, const ServedVariant* variant,
              std::span<const ServedVariant> variants, v1::ScoreScale scale,
              v1::RankResponse* response);
void FillScore(const Answer& answer, const ServedVariant* variant, v1::ScoreScale scale,
               v1::ScoreResponse* response);
void FillEmbed(const Answer& answer, v1::EmbedResponse* response);
void FillClassify(const Answer& answer, const ServedVariant* variant, bool raw_scores,
                  v1::ClassifyResponse* response);
void FillTokenize(const v1::TokenizeRequest& request, const Tokenizer& tokenizer,
                  v1::TokenizeResponse* response);
void FillExecution(const Answer& answer, const ServedVariant* variant, Duration total,
                   v1::Execution* execution);

}  // namespace tailor
