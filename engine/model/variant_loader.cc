// SPDX-License-Identifier: Apache-2.0
#include "engine/model/variant_loader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "base/status_macros.h"
#include "engine/model/bind_weights.h"
#include "engine/model/hf_config.h"
#include "engine/model/linear_files.h"
#include "engine/model/masks.h"
#include "engine/model/product_weights.h"
#include "engine/model/sentence_modules.h"
#include "engine/model/sha256.h"
#include "engine/model/sub_network.h"
#include "engine/model/tensor_pool.h"
#include "engine/model/tokenizer_files.h"
#include "engine/model/weight_files.h"

namespace tailor {
namespace {

constexpr const char* kManifest = "variant.json";
constexpr const char* kConfig = "config.json";
// Of a linear variant that does not say; it can take any length.
constexpr int kLinearMaxTokens = 512;

// variant.json says `claimed`; the folder says `actual`.
template <typename T, typename U>
absl::Status RequireAgreement(absl::string_view key, const std::optional<T>& claimed,
                              const U& actual) {
  if (!claimed || *claimed == actual) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(kManifest, ": ", key, ": expected ", actual,
                                                 " as in the folder, got ", *claimed));
}

absl::Status CheckFiles(const ModelFolder& folder, const VariantManifest& manifest) {
  for (const VariantManifest::File& entry : manifest.files) {
    TAILOR_ASSIGN_OR_RETURN(const InputFile file, folder.OpenFile(entry.path));
    if (entry.bytes && *entry.bytes != file.size()) {
      return absl::DataLossError(absl::StrCat(entry.path, ": expected ", *entry.bytes,
                                              " bytes as in variant.json, got ", file.size()));
    }
    if (!entry.sha256) continue;
    TAILOR_ASSIGN_OR_RETURN(const std::string digest, Sha256Hex(file));
    if (digest != *entry.sha256) {
      return absl::DataLossError(absl::StrCat(entry.path, ": expected sha256 ", *entry.sha256,
                                              " as in variant.json, got ", digest));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTokenizer(const VariantManifest::Tokenizer& claimed, const TokenizerSpec& actual,
                            const std::string& file_sha256) {
  // Both spellings of the vocabulary count: the file, and its entries one a line.
  if (claimed.sha256 && *claimed.sha256 != file_sha256) {
    TAILOR_RETURN_IF_ERROR(RequireAgreement("tokenizer.sha256", claimed.sha256, actual.sha256));
  }
  TAILOR_RETURN_IF_ERROR(RequireAgreement("tokenizer.vocab_size", claimed.vocab_size,
                                          static_cast<int>(actual.vocabulary.size())));
  TAILOR_RETURN_IF_ERROR(
      RequireAgreement("tokenizer.lower_case", claimed.lower_case, actual.lower_case));
  return RequireAgreement("tokenizer.strip_accents", claimed.strip_accents, actual.strip_accents);
}

absl::Status CheckArch(const VariantManifest::Arch& claimed, const HfConfig& actual) {
  TAILOR_RETURN_IF_ERROR(RequireAgreement("arch.hidden", claimed.hidden, actual.hidden));
  if (!claimed.has_embedding_map) {
    TAILOR_RETURN_IF_ERROR(RequireAgreement("arch.embedding", claimed.embedding, actual.hidden));
  }
  TAILOR_RETURN_IF_ERROR(
      RequireAgreement("arch.type_vocab", claimed.type_vocab, actual.num_token_types));
  if (claimed.kind && *claimed.kind != actual.architecture) {
    return absl::InvalidArgumentError("variant.json: arch.kind: expected config.json's model_type");
  }
  if (claimed.hidden_act && *claimed.hidden_act != actual.activation) {
    return absl::InvalidArgumentError(
        "variant.json: arch.hidden_act: expected the activation of config.json, got another");
  }
  const auto eps = static_cast<double>(actual.layer_norm_eps);
  if (claimed.eps && std::abs(*claimed.eps - eps) > 1e-6 * eps) {
    return RequireAgreement("arch.eps", claimed.eps, eps);
  }
  return absl::OkStatus();
}

// "activations" repeats what the scales say; a bundle that lost some of them must not load.
absl::Status CheckActivations(InputScales claimed, const BertWeights& weights) {
  const bool is_static = claimed == InputScales::kStatic;
  int coded = 0;
  int agreeing = 0;
  for (const LinearWeights* linear : EncoderProducts(weights)) {
    if (linear->weight.dtype != DType::kI8) continue;
    ++coded;
    if ((linear->input_scale > 0) == is_static) ++agreeing;
  }
  if (coded > 0 && agreeing == coded) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "variant.json: activations.mode: expected int8 weights, all ", is_static ? "with" : "without",
      " an input_scale, got ", agreeing, " of ", coded));
}

absl::Status CheckReference(const std::optional<ReferenceScores>& reference,
                            const HeadConfig& head) {
  if (!reference || head.kind == HeadKind::kClassifier) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "variant.json: reference: expected a model that scores pairs, got an embedding model");
}

// layers[] replaces the layer table of config.json; what a layer leaves out comes from the row of
// config.json with its place, where there is one.
std::vector<LayerShape> LayerTable(const VariantManifest* manifest,
                                   const std::vector<LayerShape>& configured) {
  if (manifest == nullptr || manifest->layers.empty()) return configured;
  std::vector<LayerShape> layers;
  for (size_t i = 0; i < manifest->layers.size(); ++i) {
    const VariantManifest::Layer& row = manifest->layers[i];
    const LayerShape fallback = configured[std::min(i, configured.size() - 1)];
    layers.push_back({.num_heads = row.num_heads.value_or(fallback.num_heads),
                      .head_dim = row.head_dim.value_or(fallback.head_dim),
                      .ffn_dim = row.ffn_dim.value_or(fallback.ffn_dim),
                      .attention = row.attention.value_or(static_cast<int>(i)),
                      .ffn = row.ffn.value_or(static_cast<int>(i))});
  }
  return layers;
}

absl::StatusOr<HeadConfig> DecideHead(const HfConfig& config, const SentenceModules& modules,
                                      const VariantManifest* manifest, const TensorIndex& index) {
  HeadConfig head;
  const auto classifier = index.find("classifier.weight");
  if (modules.pooling || (classifier == index.end() && !config.expects_classifier)) {
    // sentence-transformers takes the mean of a folder that does not say.
    head.kind = HeadKind::kEmbedding;
    head.pooler = PoolerActivation::kNone;
    head.pooling = modules.pooling.value_or(Pooling::kMean);
    head.normalize = modules.normalize;
    head.num_outputs = config.hidden;
    return head;
  }
  if (classifier == index.end()) {
    return absl::InvalidArgumentError(
        "weights: classifier.weight: expected this tensor of a sequence classifier, got none");
  }
  const std::vector<int64_t>& shape = classifier->second->info.shape;
  const int64_t rows = shape.empty() ? 0 : shape[0];
  if (rows < 1 || rows > 4096 || (config.num_labels && rows != *config.num_labels)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "weights: classifier.weight: expected ",
        config.num_labels ? absl::StrCat("the ", *config.num_labels, " labels of config.json")
                          : "1 to 4096 rows",
        ", got ", rows));
  }
  head.num_outputs = static_cast<int>(rows);
  head.pooler = config.architecture == Architecture::kDistilBert ? PoolerActivation::kRelu
                                                                 : PoolerActivation::kTanh;
  if (manifest != nullptr) head.pooler = manifest->arch.pooler.value_or(head.pooler);
  return head;
}

// The manifest's wishes over `task`; used for derived variants too.
absl::Status ApplyTask(const VariantManifest::Task& claimed, const BertConfig& config,
                       TaskSpec* task) {
  const HeadConfig& head = config.head;
  if (head.kind == HeadKind::kClassifier) {
    TAILOR_RETURN_IF_ERROR(
        RequireAgreement("task.num_labels", claimed.num_labels, head.num_outputs));
  }
  task->kind = claimed.kind.value_or(task->kind);
  task->activation = claimed.activation.value_or(task->activation);
  task->score_index = claimed.score_index.value_or(task->score_index);
  task->max_tokens = claimed.max_tokens.value_or(task->max_tokens);
  if (task->score_index >= head.num_outputs) {
    return absl::InvalidArgumentError(
        absl::StrCat("variant.json: task.score_index: expected less than ", head.num_outputs,
                     ", got ", task->score_index));
  }
  if (task->max_tokens > config.max_positions) {
    return absl::InvalidArgumentError(
        absl::StrCat("variant.json: task.max_len: expected at most the ", config.max_positions,
                     " positions of the model, got ", task->max_tokens));
  }
  return absl::OkStatus();
}

TaskSpec PlainTask(const HfConfig& config, const HeadConfig& head, int max_tokens) {
  TaskSpec task;
  task.max_tokens = std::min(max_tokens, config.max_positions);
  if (head.kind == HeadKind::kEmbedding) {
    task.activation = OutputActivation::kNone;
    return task;
  }
  const bool is_single = head.num_outputs == 1;
  task.kind = is_single ? TaskKind::kRelevance : TaskKind::kClassification;
  // sentence-transformers' CrossEncoder: a single logit goes through a sigmoid, several do not.
  task.activation = config.output_activation.value_or(is_single ? OutputActivation::kSigmoid
                                                                : OutputActivation::kNone);
  // Of two labels the second is the positive one by custom.
  task.score_index = head.num_outputs == 2 ? 1 : 0;
  task.labels = config.labels;
  for (int i = static_cast<int>(task.labels.size()); i < head.num_outputs; ++i) {
    task.labels.push_back(absl::StrCat("LABEL_", i));
  }
  return task;
}

BertConfig EncoderConfig(const HfConfig& hf) {
  return {.hidden = hf.hidden,
          .vocab_size = hf.vocab_size,
          .max_positions = hf.max_positions,
          .num_token_types = hf.num_token_types,
          .layer_norm_eps = hf.layer_norm_eps,
          .activation = hf.activation,
          .layers = {},
          .head = {}};
}

absl::Status CheckVocabularyFits(const TokenizerSpec& tokenizer, int vocab_size) {
  const auto entries = static_cast<int>(tokenizer.vocabulary.size());
  if (entries <= vocab_size) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("vocabulary: expected at most the ", vocab_size,
                                                 " rows of the word embeddings, got ", entries,
                                                 " entries"));
}

// Stored codes stay what they are for int8; another format is asked to compute on floats.
void SetFormat(WeightFormat format, ModelPackage* package, TensorPool* pool) {
  package->format = format;
  if (format == WeightFormat::kInt8) return;
  for (LinearWeights* linear : EncoderProducts(package->weights)) {
    if (linear->weight.dtype != DType::kI8) continue;
    linear->weight = pool->Add(DenseWeights(*linear), linear->weight.shape);
    linear->weight_scale = {};
    linear->input_scale = 0;
  }
}

// The tokenizer lies beside the encoder's files in sentence-transformers folders.
absl::StatusOr<ModelFolder> EncoderFolder(const ModelFolder& folder,
                                          const SentenceModules& modules) {
  if (modules.transformer.empty()) return folder;
  return folder.SubFolder(modules.transformer);
}

// A variant whose manifest says that it is linear: it has tensors, but no config.json.
absl::StatusOr<ModelPackage> LoadLinear(const ModelFolder& folder,
                                        const VariantManifest& manifest) {
  if (folder.Has(kConfig)) {
    return absl::InvalidArgumentError(
        "variant.json: arch.kind: expected no config.json beside a linear variant, got one");
  }
  TAILOR_ASSIGN_OR_RETURN(TokenizerFiles tokenizer, ReadTokenizerFiles(folder));
  TAILOR_RETURN_IF_ERROR(CheckTokenizer(manifest.tokenizer, tokenizer.spec, tokenizer.file_sha256));
  ModelPackage package;
  package.id = manifest.id;
  package.family = manifest.family;
  package.folder = folder.path();
  package.config.vocab_size = static_cast<int>(tokenizer.spec.vocabulary.size());
  package.config.max_positions =
      manifest.task.max_tokens.value_or(tokenizer.max_tokens.value_or(kLinearMaxTokens));
  package.config.num_token_types = 2;
  package.config.head.pooler = PoolerActivation::kNone;
  package.tokenizer = std::move(tokenizer.spec);
  package.task.max_tokens = package.config.max_positions;
  package.task.activation = OutputActivation::kNone;
  package.task.labels = {"LABEL_0"};
  TAILOR_RETURN_IF_ERROR(ApplyTask(manifest.task, package.config, &package.task));
  package.quality = manifest.quality;
  package.reference = manifest.reference;
  TAILOR_ASSIGN_OR_RETURN(LinearFiles files,
                          ReadLinearFiles(folder, *manifest.linear, package.config.vocab_size));
  package.linear = std::move(files.model);
  package.storage = std::move(files.storage);
  package.num_parameters = files.num_parameters;
  package.weight_bytes = files.weight_bytes;
  return package;
}

}  // namespace

absl::StatusOr<std::optional<VariantManifest>> ReadVariantManifest(const ModelFolder& folder) {
  if (!folder.Has(kManifest)) return std::optional<VariantManifest>();
  TAILOR_ASSIGN_OR_RETURN(const nlohmann::json value,
                          folder.ReadJson(kManifest, {.max_bytes = 4 << 20}));
  TAILOR_ASSIGN_OR_RETURN(VariantManifest manifest, ParseVariantManifest(value));
  return std::optional<VariantManifest>(std::move(manifest));
}

std::string IdFromFolderName(const std::filesystem::path& folder) {
  std::string id = folder.filename().string();
  for (char& c : id) {
    c = absl::ascii_tolower(static_cast<unsigned char>(c));
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_') c = '-';
  }
  id = id.substr(std::min(id.find_first_not_of("-."), id.size()));
  if (id.size() > 64) id.resize(64);
  return id.empty() ? "variant" : id;
}

absl::StatusOr<ModelPackage> LoadVariant(const ModelFolder& folder,
                                         const std::optional<VariantManifest>& manifest) {
  const VariantManifest* claims = manifest ? &*manifest : nullptr;
  if (claims != nullptr) TAILOR_RETURN_IF_ERROR(CheckFiles(folder, *claims));
  if (claims != nullptr && claims->linear) return LoadLinear(folder, *claims);
  TAILOR_ASSIGN_OR_RETURN(const SentenceModules modules, ReadSentenceModules(folder));
  TAILOR_ASSIGN_OR_RETURN(const ModelFolder encoder, EncoderFolder(folder, modules));
  TAILOR_ASSIGN_OR_RETURN(const nlohmann::json config_json, encoder.ReadJson(kConfig, {}));
  TAILOR_ASSIGN_OR_RETURN(const HfConfig hf, ParseHfConfig(config_json));
  TAILOR_ASSIGN_OR_RETURN(TokenizerFiles tokenizer, ReadTokenizerFiles(encoder));
  TAILOR_RETURN_IF_ERROR(CheckVocabularyFits(tokenizer.spec, hf.vocab_size));
  if (claims != nullptr) {
    TAILOR_RETURN_IF_ERROR(
        CheckTokenizer(claims->tokenizer, tokenizer.spec, tokenizer.file_sha256));
    TAILOR_RETURN_IF_ERROR(CheckArch(claims->arch, hf));
  }
  TAILOR_ASSIGN_OR_RETURN(const WeightFiles files, WeightFiles::Open(encoder));
  TAILOR_ASSIGN_OR_RETURN(const TensorIndex index, IndexTensors(files));

  ModelPackage package;
  package.id = claims != nullptr ? claims->id : IdFromFolderName(folder.path());
  package.family = claims != nullptr ? claims->family : "";
  package.folder = folder.path();
  package.tokenizer = std::move(tokenizer.spec);
  package.config = EncoderConfig(hf);
  package.config.layers = LayerTable(claims, hf.layers);
  TAILOR_ASSIGN_OR_RETURN(package.config.head, DecideHead(hf, modules, claims, index));
  const int max_tokens =
      modules.max_tokens.value_or(tokenizer.max_tokens.value_or(hf.max_positions));
  package.task = PlainTask(hf, package.config.head, max_tokens);
  if (claims != nullptr) {
    TAILOR_RETURN_IF_ERROR(ApplyTask(claims->task, package.config, &package.task));
    package.quality = claims->quality;
    package.reference = claims->reference;
    TAILOR_RETURN_IF_ERROR(CheckReference(package.reference, package.config.head));
    package.elastic = claims->elastic;
    if (package.elastic) {
      TAILOR_RETURN_IF_ERROR(CheckElastic(*package.elastic, package.config));
    }
  }
  const bool is_narrow = claims != nullptr && claims->arch.has_embedding_map;
  TAILOR_ASSIGN_OR_RETURN(
      BoundWeights bound,
      BindWeights(files, index, is_narrow ? claims->arch.embedding : std::nullopt,
                  &package.config));
  if (claims != nullptr && claims->activations) {
    TAILOR_RETURN_IF_ERROR(CheckActivations(*claims->activations, bound.weights));
  }
  package.weights = std::move(bound.weights);
  package.storage = std::move(bound.storage);
  package.num_parameters = bound.num_parameters;
  package.weight_bytes = bound.weight_bytes;
  return package;
}

absl::StatusOr<ModelPackage> DeriveVariant(const ModelFolder& folder,
                                           const VariantManifest& manifest,
                                           const ModelPackage& parent) {
  TAILOR_RETURN_IF_ERROR(CheckFiles(folder, manifest));
  if (parent.linear) {
    return absl::InvalidArgumentError(
        absl::StrCat("variant.json: derive.parent: expected a variant with layers, got ", parent.id,
                     ", which is linear"));
  }
  TAILOR_RETURN_IF_ERROR(
      CheckTokenizer(manifest.tokenizer, parent.tokenizer, parent.tokenizer.sha256));
  ModelPackage package = parent;
  package.family = manifest.family;
  package.folder = folder.path();
  package.parent = parent.id;
  package.quality = manifest.quality;
  package.reference = manifest.reference;
  TAILOR_RETURN_IF_ERROR(CheckReference(package.reference, package.config.head));
  TAILOR_RETURN_IF_ERROR(ApplyTask(manifest.task, package.config, &package.task));
  const VariantManifest::Derive& derive = *manifest.derive;
  const auto pool = std::make_shared<TensorPool>();
  if (derive.sub_network) {
    TAILOR_RETURN_IF_ERROR(CutSubNetwork(*derive.sub_network, &package));
    package.sub_network = derive.sub_network;
  }
  if (derive.masks) {
    TAILOR_ASSIGN_OR_RETURN(const Masks masks, ReadMasks(folder, *derive.masks, parent.config));
    TAILOR_RETURN_IF_ERROR(ApplyMasks(masks, &package, pool.get()));
  }
  if (derive.format) SetFormat(*derive.format, &package, pool.get());
  package.id = manifest.id;
  package.elastic.reset();
  if (!pool->empty()) package.derived_storage = pool;
  const EncoderSize whole = SizeOf(parent.weights);
  const EncoderSize part = SizeOf(package.weights);
  package.num_parameters += part.parameters - whole.parameters;
  package.weight_bytes += part.bytes - whole.bytes;
  return package;
}

}  // namespace tailor
