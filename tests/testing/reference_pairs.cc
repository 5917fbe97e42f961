// SPDX-License-Identifier: Apache-2.0
#include "tests/testing/reference_pairs.h"

#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "nlohmann/json.hpp"

#include "base/check.h"
#include "engine/backend_factory.h"
#include "engine/model/family_folder.h"
#include "engine/model/sha256.h"
#include "server/text/tokenizer.h"
#include "tests/testing/safetensors_writer.h"

namespace tailor::testing {
namespace {

using nlohmann::json;

constexpr const char* kFile = "reference_pairs.jsonl";

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  TAILOR_CHECK(in.good());
  return text.str();
}

std::vector<float> Scores(const ModelPackage& package, const std::string& lines) {
  auto tokenizer = Tokenizer::Create({.vocabulary = package.tokenizer.vocabulary,
                                      .lower_case = package.tokenizer.lower_case,
                                      .strip_accents = package.tokenizer.strip_accents});
  TAILOR_CHECK(tokenizer.ok());
  auto backend = CreateBackend({.device = Device::kReference});
  TAILOR_CHECK(backend.ok());
  const auto loaded = (*backend)->Load(package);
  TAILOR_CHECK(loaded.ok());
  std::vector<float> scores;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    const json pair = json::parse(line);
    std::vector<int32_t> ids;
    std::vector<int32_t> types;
    tokenizer->AssemblePair(tokenizer->EncodeText(pair["query"].get<std::string>()),
                            tokenizer->EncodeText(pair["document"].get<std::string>()),
                            package.task.max_tokens, &ids, &types);
    Batch batch;
    batch.Append(ids, types);
    std::vector<float> outputs(static_cast<size_t>(loaded->num_outputs));
    TAILOR_CHECK((*backend)->Run(loaded->cut, batch, outputs).ok());
    scores.push_back(outputs[static_cast<size_t>(package.task.score_index)]);
  }
  return scores;
}

}  // namespace

void WriteReferencePairs(const std::filesystem::path& family, int count) {
  const std::vector<std::string> words = {"fast", "search", "engine", "tool",
                                          "text", "image",  "viewer", "library"};
  std::string lines;
  for (int i = 0; i < count; ++i) {
    const auto number = static_cast<size_t>(i);
    std::string document;
    for (size_t j = 0; j <= number % 11; ++j) document += words[(number * 3 + j * j) % 8] + " ";
    lines +=
        json{{"query", words[number % 8] + " " + words[number / 8 % 8]}, {"document", document}}
            .dump() +
        "\n";
  }
  WriteFile(family / kFile, lines);
}

void AddReference(const std::filesystem::path& family, const std::string& id, double tolerance,
                  double shift) {
  const auto loaded = LoadFamilyFolder(family);
  TAILOR_CHECK(loaded.ok());
  const std::string lines = ReadFile(family / kFile);
  for (const ModelPackage& package : loaded->variants) {
    if (package.id != id) continue;
    json scores = json::array();
    for (const float score : Scores(package, lines)) scores.push_back(score + shift);
    json manifest = json::parse(ReadFile(package.folder / "variant.json"));
    manifest["reference"] = {{"inputs_file", kFile},
                             {"sha256", Sha256Hex(lines)},
                             {"scores", scores},
                             {"tolerance", tolerance}};
    WriteFile(package.folder / "variant.json", manifest.dump());
    return;
  }
  TAILOR_CHECK(!id.empty() && "no such variant");
}

}  // namespace tailor::testing
