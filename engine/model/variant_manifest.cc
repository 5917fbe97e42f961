// SPDX-License-Identifier: Apache-2.0
#include "engine/model/variant_manifest.h"

#include <cmath>
#include <set>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "engine/model/json_fields.h"
#include "engine/model/linear_files.h"
#include "engine/model/model_folder.h"

namespace tailor {
namespace {

using nlohmann::json;
using Names = std::vector<std::string>;

constexpr size_t kMaxEntries = 1024;
constexpr int kMaxInt = 1 << 24;
constexpr size_t kMaxReferencePairs = 4096;

// One object of the manifest that knows all its keys.
class Section : public JsonFields {
 public:
  Section(const json& object, const std::string& where, absl::Status* problem, const Names& known)
      : JsonFields(object, where, problem) {
    RefuseUnknown(known);
  }

  // Calls read(section) when the key holds an object.
  template <typename Read>
  void Nested(absl::string_view key, const Names& known, const Read& read) const {
    if (const json* value = Object(key)) read(Section(*value, Where(key), problem(), known));
  }

  // Calls read(section) for each element of an array of objects.
  template <typename Read>
  void Each(absl::string_view key, const Names& known, const Read& read) const {
    const json* array = Array(key, kMaxEntries);
    for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
      read(Section((*array)[i], absl::StrCat(Where(key), "[", i, "]"), problem(), known));
    }
  }

  std::string RequiredString(absl::string_view key) const {
    Require(key);
    return String(key).value_or("");
  }

  std::string RequiredId(absl::string_view key) const {
    std::string id = RequiredString(key);
    if (!IsVariantId(id)) FailExpected(key, "1 to 64 of a-z 0-9 . _ - without a leading dot");
    return id;
  }

  // In (0, 1].
  double RequiredShare(absl::string_view key) const {
    Require(key);
    const double share = Number(key, 0, 1).value_or(1);
    if (share == 0) FailExpected(key, "a share above 0");
    return share;
  }

  std::optional<std::string> Sha256(absl::string_view key) const {
    std::optional<std::string> digest = String(key);
    if (digest && (digest->size() != 64 ||
                   digest->find_first_not_of("0123456789abcdef") != std::string::npos)) {
      FailExpected(key, "64 lower-case hexadecimal digits");
    }
    return digest;
  }
};

VariantManifest::Task ReadTask(const Section& task) {
  task.OneOf<int>("pair_template", {{"[CLS] query [SEP] document [SEP]", 0}});
  task.OneOf<int>("truncation", {{"longest_first", 0}});
  return {.kind = task.OneOf<TaskKind>("kind", {{"relevance", TaskKind::kRelevance},
                                                {"classification", TaskKind::kClassification},
                                                {"regression", TaskKind::kRegression}}),
          .num_labels = task.Int("num_labels", 1, 4096),
          .score_index = task.Int("score_index", 0, 4095),
          .activation =
              task.OneOf<OutputActivation>("activation", {{"none", OutputActivation::kNone},
                                                          {"sigmoid", OutputActivation::kSigmoid},
                                                          {"softmax", OutputActivation::kSoftmax}}),
          .max_tokens = task.Int("max_len", 4, 1 << 20)};
}

VariantManifest::Tokenizer ReadTokenizer(const Section& tokenizer) {
  tokenizer.OneOf<int>("type", {{"wordpiece", 0}});
  if (const json* files = tokenizer.Array("files", 16)) {
    for (const json& file : *files) {
      if (!file.is_string() || !CheckRelativePath(file.get_ref<const std::string&>()).ok()) {
        tokenizer.FailExpected("files", "relative paths without \"..\"");
      }
    }
  }
  return {.sha256 = tokenizer.Sha256("sha256"),
          .vocab_size = tokenizer.Int("vocab_size", 1, kMaxInt),
          .lower_case = tokenizer.Bool("lower_case"),
          .strip_accents = tokenizer.Bool("strip_accents")};
}

VariantManifest::Arch ReadArch(const Section& arch) {
  arch.OneOf<int>("norm", {{"layernorm", 0}});
  arch.OneOf<int>("position", {{"absolute", 0}});
  VariantManifest::Arch result = {
      .kind = arch.OneOf<Architecture>(
          "kind", {{"bert", Architecture::kBert}, {"distilbert", Architecture::kDistilBert}}),
      .hidden = arch.Int("hidden", 1, kMaxInt),
      .embedding = arch.Int("embedding", 1, kMaxInt),
      .hidden_act = arch.OneOf<HiddenActivation>(
          "hidden_act", {{"gelu", HiddenActivation::kGeluErf},
                         {"gelu_new", HiddenActivation::kGeluTanh},
                         {"gelu_pytorch_tanh", HiddenActivation::kGeluTanh},
                         {"relu", HiddenActivation::kRelu}}),
      .eps = arch.Number("eps", 0, 1),
      .type_vocab = arch.Int("type_vocab", 0, 1024),
      .pooler = std::nullopt};
  arch.Nested("pooler", {"kind"}, [&](const Section& pooler) {
    result.pooler =
        pooler.OneOf<PoolerActivation>("kind", {{"none", PoolerActivation::kNone},
                                                {"tanh", PoolerActivation::kTanh},
                                                {"relu", PoolerActivation::kRelu},
                                                {"tanh_relu", PoolerActivation::kTanhRelu}});
  });
  arch.Nested("embed_map", {"kind"}, [&](const Section& map) {
    map.Require("kind");
    map.OneOf<int>("kind", {{"linear", 0}});
    result.has_embedding_map = true;
    arch.Require("embedding");
  });
  return result;
}

VariantManifest::Layer ReadLayer(const Section& layer) {
  layer.Int("src", 0, kMaxInt);
  return {.attention = layer.Int("attn", 0, kMaxInt),
          .ffn = layer.Int("ffn", 0, kMaxInt),
          .num_heads = layer.Int("heads", 0, 4096),
          .head_dim = layer.Int("head_dim", 1, 4096),
          .ffn_dim = layer.Int("ffn_dim", 0, kMaxInt)};
}

VariantManifest::Derive ReadDerive(const Section& derive) {
  VariantManifest::Derive result = {
      .parent = derive.RequiredId("parent"),
      .masks = derive.String("masks"),
      .sub_network = std::nullopt,
      .format = derive.OneOf<WeightFormat>("format", {{"f32", WeightFormat::kF32},
                                                      {"bf16", WeightFormat::kBf16},
                                                      {"f16", WeightFormat::kF16},
                                                      {"int8", WeightFormat::kInt8}})};
  if (result.masks &&
      (!CheckRelativePath(*result.masks).ok() || !absl::EndsWith(*result.masks, ".safetensors"))) {
    derive.FailExpected("masks", "a relative path to a .safetensors file without \"..\"");
  }
  derive.Nested("sub_network", {"width", "depth"}, [&](const Section& names) {
    result.sub_network = {.width = names.RequiredShare("width"),
                          .depth = names.RequiredShare("depth")};
  });
  if (!result.format && !result.sub_network && !result.masks) derive.Require("format");
  if (result.masks && result.sub_network) {
    derive.FailExpected("masks", "nothing beside \"sub_network\"");
  }
  return result;
}

// Refuses a share that two entries have: which of them a sub-network names would be open.
template <typename Entry>
void RequireDistinct(const Section& section, absl::string_view key,
                     const std::vector<Entry>& entries, double Entry::*share) {
  if (entries.empty()) section.FailExpected(key, "at least one entry");
  std::set<double> seen;
  for (const Entry& entry : entries) {
    if (!seen.insert(entry.*share).second) {
      section.FailExpected(key, absl::StrCat("distinct shares (", entry.*share, " comes twice)"));
    }
  }
}

std::vector<int> ReadLayerNumbers(const Section& depth) {
  std::vector<int> layers;
  depth.Require("layers");
  const json* numbers = depth.Array("layers", kMaxEntries);
  if (numbers == nullptr) return {0};
  for (const json& number : *numbers) {
    const bool is_number = number.is_number_unsigned() && number.get<uint64_t>() < kMaxEntries;
    layers.push_back(is_number ? number.get<int>() : -1);
    const bool ascends = layers.size() < 2 || layers[layers.size() - 2] < layers.back();
    if (!is_number || !ascends) depth.FailExpected("layers", "ascending numbers of layers");
  }
  if (layers.empty()) depth.FailExpected("layers", "at least one layer");
  return layers;
}

Elastic ReadElastic(const Section& section) {
  Elastic elastic;
  section.Each("widths", {"width", "heads", "ffn_dim"}, [&](const Section& width) {
    width.Require("heads");
    width.Require("ffn_dim");
    elastic.widths.push_back({.width = width.RequiredShare("width"),
                              .num_heads = width.Int("heads", 1, 4096).value_or(1),
                              .ffn_dim = width.Int("ffn_dim", 1, kMaxInt).value_or(1)});
  });
  section.Each("depths", {"depth", "layers"}, [&](const Section& depth) {
    elastic.depths.push_back(
        {.depth = depth.RequiredShare("depth"), .layers = ReadLayerNumbers(depth)});
  });
  RequireDistinct(section, "widths", elastic.widths, &Elastic::Width::width);
  RequireDistinct(section, "depths", elastic.depths, &Elastic::Depth::depth);
  return elastic;
}

ReferenceScores ReadReference(const Section& section) {
  ReferenceScores reference;
  reference.inputs_file = section.RequiredString("inputs_file");
  if (!CheckRelativePath(reference.inputs_file).ok()) {
    section.FailExpected("inputs_file", "a relative path without \"..\"");
  }
  section.Require("sha256");
  reference.sha256 = section.Sha256("sha256").value_or("");
  section.Require("tolerance");
  reference.tolerance = section.Number("tolerance", 0, 1e3).value_or(0);
  section.Require("scores");
  const json* scores = section.Array("scores", kMaxReferencePairs);
  for (size_t i = 0; scores != nullptr && i < scores->size(); ++i) {
    const json& score = (*scores)[i];
    const double number = score.is_number() ? score.get<double>() : std::nan("");
    if (!(std::abs(number) < 1e6)) section.FailExpected("scores", "finite numbers");
    reference.scores.push_back(static_cast<float>(number));
  }
  if (reference.scores.empty()) section.FailExpected("scores", "at least one score");
  return reference;
}

VariantManifest::File ReadFile(const Section& file) {
  VariantManifest::File result = {
      .path = file.RequiredString("path"), .sha256 = file.Sha256("sha256"), .bytes = std::nullopt};
  if (!CheckRelativePath(result.path).ok()) {
    file.FailExpected("path", "a relative path without \"..\"");
  }
  if (const std::optional<double> bytes = file.Number("bytes", 0, 1e15)) {
    result.bytes = static_cast<uint64_t>(*bytes);
  }
  return result;
}

Quality ReadQuality(const Section& section) {
  section.String("split_hash");
  section.Number("mrr10", 0, 1);
  section.Number("accuracy1", 0, 1);
  section.Require("ndcg10");
  Quality quality;
  quality.ndcg10 = section.Number("ndcg10", 0, 1).value_or(0);
  quality.ci_low = quality.ci_high = quality.ndcg10;
  quality.num_queries = section.Int("n", 0, INT32_MAX).value_or(0);
  quality.dataset_id = section.String("dataset_id").value_or("");
  if (const json* interval = section.Array("ci95", 2)) {
    if (interval->size() == 2 && (*interval)[0].is_number() && (*interval)[1].is_number()) {
      quality.ci_low = (*interval)[0].get<double>();
      quality.ci_high = (*interval)[1].get<double>();
    } else {
      section.FailExpected("ci95", "two numbers");
    }
  }
  if (!(0 <= quality.ci_low && quality.ci_low <= quality.ndcg10 &&
        quality.ndcg10 <= quality.ci_high && quality.ci_high <= 1)) {
    section.FailExpected("ci95", absl::StrCat("an interval around ndcg10 ", quality.ndcg10));
  }
  return quality;
}

// Provenance: kept in the file for people and for the Python side, only its form is checked here.
void CheckProvenance(const Section& manifest) {
  manifest.String("created");
  manifest.String("license");
  manifest.Each("parents", {"id", "role"}, [](const Section& parent) {
    parent.RequiredString("id");
    if (parent.Has("role")) parent.RequiredId("role");  // each method names its own
  });
  manifest.Each("method", {"name", "params", "code_version", "seed", "data_id", "wall_s", "device"},
                [](const Section& step) { step.RequiredString("name"); });
  manifest.Nested("params", {"total", "embedding", "encoder"}, [](const Section& params) {
    for (const char* key : {"total", "embedding", "encoder"}) params.Number(key, 0, 1e15);
  });
}

}  // namespace

bool IsVariantId(absl::string_view id) {
  if (id.empty() || id.size() > 64 || id.front() == '.') return false;
  return id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == absl::string_view::npos;
}

absl::StatusOr<VariantManifest> ParseVariantManifest(const json& value) {
  absl::Status problem;
  const Section root(value, "variant.json", &problem,
                     {"schema_version", "id", "family", "created", "license", "parents", "method",
                      "task", "tokenizer", "arch", "layers", "derive", "elastic", "activations",
                      "reference", "files", "quality", "params"});
  root.Require("schema_version");
  root.Int("schema_version", 1, 1);
  VariantManifest manifest;
  manifest.id = root.RequiredId("id");
  manifest.family = root.RequiredId("family");
  CheckProvenance(root);
  root.Nested(
      "task",
      {"kind", "num_labels", "score_index", "activation", "max_len", "pair_template", "truncation"},
      [&](const Section& task) { manifest.task = ReadTask(task); });
  root.Nested("tokenizer", {"type", "files", "sha256", "vocab_size", "lower_case", "strip_accents"},
              [&](const Section& tokenizer) { manifest.tokenizer = ReadTokenizer(tokenizer); });
  const json* linear = root.Object("arch");
  if (linear != nullptr && IsLinearArch(*linear)) {
    manifest.linear = ReadLinearSpec(JsonFields(*linear, root.Where("arch"), &problem));
  } else {
    root.Nested("arch",
                {"kind", "hidden", "embedding", "hidden_act", "norm", "eps", "position",
                 "type_vocab", "pooler", "embed_map"},
                [&](const Section& arch) { manifest.arch = ReadArch(arch); });
  }
  root.Each("layers", {"src", "attn", "ffn", "heads", "head_dim", "ffn_dim"},
            [&](const Section& layer) { manifest.layers.push_back(ReadLayer(layer)); });
  root.Nested("derive", {"parent", "masks", "sub_network", "format"},
              [&](const Section& derive) { manifest.derive = ReadDerive(derive); });
  root.Nested("elastic", {"widths", "depths"},
              [&](const Section& elastic) { manifest.elastic = ReadElastic(elastic); });
  root.Nested("activations", {"mode", "bits"}, [&](const Section& activations) {
    activations.Require("mode");
    activations.Int("bits", 8, 8);
    manifest.activations = activations.OneOf<InputScales>(
        "mode", {{"dynamic", InputScales::kDynamic}, {"static", InputScales::kStatic}});
  });
  root.Nested("reference", {"inputs_file", "sha256", "scores", "tolerance"},
              [&](const Section& reference) { manifest.reference = ReadReference(reference); });
  root.Each("files", {"path", "sha256", "bytes"},
            [&](const Section& file) { manifest.files.push_back(ReadFile(file)); });
  root.Nested("quality", {"dataset_id", "split_hash", "n", "ndcg10", "mrr10", "accuracy1", "ci95"},
              [&](const Section& quality) { manifest.quality = ReadQuality(quality); });
  // A derived variant has its parent's shape; saying another would be passed over in silence.
  for (const char* key : {"arch", "layers", "elastic", "activations"}) {
    if (manifest.derive && root.Has(key)) root.FailExpected(key, "nothing beside \"derive\"");
  }
  for (const char* key : {"layers", "elastic", "activations"}) {
    if (manifest.linear && root.Has(key)) root.FailExpected(key, "nothing of a linear variant");
  }
  if (!problem.ok()) return problem;
  return manifest;
}

}  // namespace tailor
