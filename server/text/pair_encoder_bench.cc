// SPDX-License-Identifier: Apache-2.0
// How fast text becomes sequences: documents of about 60 tokens, as the bundled family has them.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"

#include "server/text/tokenizer.h"

namespace tailor {
namespace {

constexpr int kMaxTokens = 512;
constexpr int kNumDocuments = 256;
constexpr int kNumPieces = 30000;

// A vocabulary as large as BERT's: letters, so that every word has a way through, and random
// pieces of 2 to 9 letters, a quarter of them following ones.
std::vector<std::string> MakeVocabulary(std::mt19937* random) {
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ",", "."};
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    vocabulary.emplace_back(1, letter);
    vocabulary.push_back(std::string("##") + letter);
  }
  while (vocabulary.size() < kNumPieces) {
    std::string piece = (*random)() % 4 == 0 ? "##" : "";
    for (auto n = 2 + (*random)() % 8; n > 0; --n) {
      piece += static_cast<char>('a' + (*random)() % 26);
    }
    vocabulary.push_back(piece);
  }
  return vocabulary;
}

// Words of the vocabulary, every fourth with a following piece, every tenth with a capital, and
// some punctuation: 60 tokens.
std::string MakeDocument(const std::vector<std::string>& vocabulary, std::mt19937* random,
                         std::string_view accent) {
  std::string text;
  for (int tokens = 0; tokens < 60;) {
    std::string word = vocabulary[100 + (*random)() % (vocabulary.size() - 100)];
    if (word.starts_with("##")) continue;
    if ((*random)() % 10 == 0) word[0] = static_cast<char>(word[0] - 'a' + 'A');
    if ((*random)() % 4 == 0) word += 's', ++tokens;
    text += word;
    text += accent;
    ++tokens;
    if ((*random)() % 10 == 0) text += ',', ++tokens;
    text += ' ';
  }
  return text;
}

void EncodePairs(benchmark::State& state, std::string_view accent) {
  std::mt19937 random(1);
  const Tokenizer tokenizer = *Tokenizer::Create({MakeVocabulary(&random), true, true});
  std::vector<std::string> documents;
  for (int i = 0; i < kNumDocuments; ++i) {
    documents.push_back(MakeDocument(tokenizer.vocabulary(), &random, accent));
  }
  const EncodedText query = tokenizer.EncodeText("find the package from its description");
  EncodedText document;
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  int64_t num_tokens = 0;
  for (auto _ : state) {
    for (const std::string& text : documents) {
      tokenizer.EncodeText(text, kMaxTokens, &document);
      tokenizer.AssemblePair(query, document, kMaxTokens, &ids, &types);
      num_tokens += static_cast<int64_t>(document.ids.size());
      benchmark::DoNotOptimize(ids.data());
    }
  }
  state.counters["documents/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * kNumDocuments, benchmark::Counter::kIsRate);
  state.counters["s/token"] = benchmark::Counter(
      static_cast<double>(num_tokens), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_EncodePairsAscii(benchmark::State& state) { EncodePairs(state, ""); }
// Every word has an accent to strip.
void BM_EncodePairsAccented(benchmark::State& state) { EncodePairs(state, "\u00E9\u0301"); }

void BM_EncodeOneLongWord(benchmark::State& state) {
  std::mt19937 random(1);
  const Tokenizer tokenizer = *Tokenizer::Create({MakeVocabulary(&random), true, true});
  const std::string text(static_cast<size_t>(state.range(0)), 'a');
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer.EncodeText(text, kMaxTokens));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void BM_CreateTokenizer(benchmark::State& state) {
  std::mt19937 random(1);
  const std::vector<std::string> vocabulary = MakeVocabulary(&random);
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::Create({vocabulary, true, true}));
}

BENCHMARK(BM_EncodePairsAscii);
BENCHMARK(BM_EncodePairsAccented);
BENCHMARK(BM_EncodeOneLongWord)->Arg(64 << 10)->Arg(10 << 20);
BENCHMARK(BM_CreateTokenizer)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tailor

BENCHMARK_MAIN();
