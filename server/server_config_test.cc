// SPDX-License-Identifier: Apache-2.0
#include "server/server_config.h"

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/pipeline/policies/registry.h"
#include "tests/testing/temp_folder.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  std::string WriteFile(const std::string& text) {
    const std::string path = (folder_.path() / "tailor.toml").string();
    std::ofstream(path) << text;
    return path;
  }

  absl::StatusOr<ServerConfig> Resolve(const std::string& file,
                                       std::map<std::string, std::string> environment,
                                       std::vector<ConfigValue> flags) {
    ConfigSources sources;
    sources.file = file;
    sources.environment = [&environment](const char* name) -> const char* {
      const auto found = environment.find(name);
      return found == environment.end() ? nullptr : found->second.c_str();
    };
    sources.flags = std::move(flags);
    return ResolveConfig(sources);
  }

  std::string ErrorOf(const absl::StatusOr<ServerConfig>& config) {
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(config.status().message());
  }

  testing::TempFolder folder_;
};

TEST_F(ConfigTest, EveryOptionIsUniqueAndItsDefaultIsValid) {
  std::set<std::string> names;
  ServerConfig config;
  for (const ConfigOption& option : ConfigOptions()) {
    EXPECT_TRUE(names.insert(std::string(option.name)).second) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
    const std::string text = option.Format(ServerConfig{});
    EXPECT_TRUE(option.Parse(text, &config).ok()) << option.name << " = " << text;
    EXPECT_EQ(option.Format(config), text) << option.name;
  }
}

TEST_F(ConfigTest, FlagsWinOverEnvironmentOverFileOverDefaults) {
  const std::string file =
      WriteFile("max-documents = 10\nthreads = 3\npolicy = \"fixed:a\"\nreflection = false\n");
  const absl::StatusOr<ServerConfig> config = Resolve(
      file, {{"TAILOR_MAX_DOCUMENTS", "20"}, {"TAILOR_THREADS", "4"}}, {{"max-documents", "30"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->max_documents, 30);
  EXPECT_EQ(config->threads, 4);
  EXPECT_EQ(config->policy, "fixed:a");
  EXPECT_FALSE(config->reflection);
  EXPECT_EQ(config->max_sequences, ServerConfig{}.max_sequences);
}

TEST_F(ConfigTest, UnitsAreRead) {
  const absl::StatusOr<ServerConfig> config = Resolve("", {},
                                                      {{"default-budget", "20ms"},
                                                       {"max-document-bytes", "8KiB"},
                                                       {"drain-delay", "1m30s"},
                                                       {"safety", "1.25"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->default_budget, std::chrono::milliseconds(20));
  EXPECT_EQ(config->max_document_bytes, 8192);
  EXPECT_EQ(config->drain_delay, std::chrono::seconds(90));
  EXPECT_DOUBLE_EQ(config->safety, 1.25);
}

TEST_F(ConfigTest, UnknownNamesGetTheNearestOne) {
  EXPECT_EQ(ErrorOf(Resolve("", {}, {{"treads", "1"}})),
            "--unknown option \"treads\", did you mean \"threads\"?");
  EXPECT_THAT(ErrorOf(Resolve(WriteFile("max-document = 3\n"), {}, {})),
              HasSubstr("unknown option \"max-document\", did you mean \"max-documents\"?"));
}

TEST_F(ConfigTest, BadValuesNameSourceOptionRangeAndValue) {
  EXPECT_EQ(ErrorOf(Resolve("", {}, {{"threads", "-1"}})),
            "--threads: expected 0 to 1024, got \"-1\"");
  EXPECT_EQ(ErrorOf(Resolve("", {{"TAILOR_REPLY_MARGIN", "soon"}}, {})),
            "environment TAILOR_REPLY_MARGIN: reply-margin: expected 0 to 10s, got \"soon\"");
  EXPECT_THAT(ErrorOf(Resolve(WriteFile("device = \"gpu\"\n"), {}, {})),
              HasSubstr("device: expected cpu, cuda, auto, reference, got \"gpu\""));
  EXPECT_EQ(ErrorOf(Resolve("", {}, {{"safety", "nan"}})),
            "--safety: expected 0.5 to 10, got \"nan\"");
  EXPECT_THAT(ErrorOf(Resolve("/nowhere/tailor.toml", {}, {})), HasSubstr("readable file"));
  EXPECT_THAT(ErrorOf(Resolve(WriteFile("threads = [1, 2]\n"), {}, {})),
              HasSubstr("expected one value, got 2"));
}

TEST_F(ConfigTest, WhatIsPrintedIsReadBack) {
  ServerConfig config;
  config.family = "/models/packages";
  config.max_message_bytes = 8 << 20;
  config.drain_delay = std::chrono::milliseconds(1500);
  config.reflection = false;
  const std::string printed = PrintConfig(config);
  const absl::StatusOr<ServerConfig> again = Resolve(WriteFile(printed), {}, {});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(PrintConfig(*again), printed);
}

TEST_F(ConfigTest, CombinationsAreChecked) {
  ServerConfig config;
  EXPECT_THAT(std::string(CheckConfig(config).message()), HasSubstr("family"));
  config.family = "somewhere";
  EXPECT_TRUE(CheckConfig(config).ok());
  config.max_document_bytes = config.max_message_bytes + 1;
  EXPECT_FALSE(CheckConfig(config).ok());
  config.max_document_bytes = 1;
  config.policy = "fastest";
  EXPECT_THAT(std::string(CheckConfig(config).message()), HasSubstr("tailored, fixed:VARIANT"));
}

TEST_F(ConfigTest, TheDocumentNamesEveryPolicy) {
  for (const PolicyInfo& info : Policies()) {
    EXPECT_THAT(ConfigDocumentation(), HasSubstr(std::string(info.name)));
  }
}

// The document is made from the table: `tailor serve --print-config-docs > docs/configuration.md`.
TEST_F(ConfigTest, TheDocumentIsCurrent) {
  std::ifstream file("docs/configuration.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), ConfigDocumentation());
}

}  // namespace
}  // namespace tailor
