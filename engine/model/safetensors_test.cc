// SPDX-License-Identifier: Apache-2.0
#include "engine/model/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

#include "tests/testing/safetensors_writer.h"
#include "tests/testing/temp_folder.h"

namespace tailor {
namespace {

using ::testing::HasSubstr;
using testing::TempFolder;

std::string Problem(const std::string& header, uint64_t data_bytes) {
  const auto tensors = ParseSafetensorsHeader(header, data_bytes);
  return tensors.ok() ? "accepted" : std::string(tensors.status().message());
}

std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return absl::StrCat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", shape,
                      ",\"data_offsets\":", offsets, "}");
}

TEST(ParseSafetensorsHeaderTest, ReadsTensorsInTheOrderOfTheFile) {
  const auto tensors = ParseSafetensorsHeader(
      absl::StrCat("{\"__metadata__\":{\"format\":\"pt\"},", Entry("b", "F32", "[2,3]", "[0,24]"),
                   ",", Entry("a", "F64", "[]", "[24,32]"), ",",
                   Entry("empty", "F16", "[0,4]", "[24,24]"), "}   "),
      32);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 3u);
  EXPECT_EQ((*tensors)[0].name, "b");
  EXPECT_EQ((*tensors)[0].dtype, DType::kF32);
  EXPECT_EQ((*tensors)[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ((*tensors)[1].name, "empty");
  EXPECT_EQ((*tensors)[2].dtype, std::nullopt);
  EXPECT_EQ((*tensors)[2].offset, 24u);
}

struct BadHeader {
  const char* name;
  std::string header;
  uint64_t data_bytes;
  const char* message;
};

class BadHeaderTest : public ::testing::TestWithParam<BadHeader> {};

TEST_P(BadHeaderTest, IsRefused) {
  EXPECT_THAT(Problem(GetParam().header, GetParam().data_bytes), HasSubstr(GetParam().message));
}

std::string Braces(const std::string& inner) { return "{" + inner + "}"; }

INSTANTIATE_TEST_SUITE_P(
    All, BadHeaderTest,
    ::testing::Values(
        BadHeader{
            "Overlap",
            Braces(Entry("a", "F32", "[2]", "[0,8]") + "," + Entry("b", "F32", "[2]", "[4,12]")),
            12, "b: expected data from byte 8, got byte 4 (overlaps the tensor before it)"},
        BadHeader{
            "Shared",
            Braces(Entry("a", "F32", "[2]", "[0,8]") + "," + Entry("b", "F32", "[2]", "[0,8]")), 8,
            "overlaps the tensor before it"},
        BadHeader{
            "Gap",
            Braces(Entry("a", "F32", "[2]", "[0,8]") + "," + Entry("b", "F32", "[2]", "[12,20]")),
            20, "b: expected data from byte 8, got byte 12 (a gap after the tensor before it)"},
        BadHeader{"GapAtStart", Braces(Entry("a", "F32", "[1]", "[4,8]")), 8,
                  "a: expected data from byte 0"},
        BadHeader{"LeftOver", Braces(Entry("a", "F32", "[1]", "[0,4]")), 9,
                  "expected 4 bytes of tensors after the header, got 9 (left-over bytes)"},
        BadHeader{"Truncated", Braces(Entry("a", "F32", "[4]", "[0,16]")), 12,
                  "a: data_offsets: expected an ordered range within the 12 bytes of data in the "
                  "file, got [0, 16)"},
        BadHeader{"Reversed", Braces(Entry("a", "F32", "[1]", "[4,0]")), 4, "ordered range"},
        BadHeader{"NegativeOffset", Braces(Entry("a", "F32", "[1]", "[-4,0]")), 4,
                  "data_offsets: expected two offsets"},
        BadHeader{"WrongLength", Braces(Entry("a", "F32", "[3]", "[0,8]")), 8,
                  "a: expected 12 bytes for F32 [3], got 8"},
        BadHeader{"ShapeOverflow",
                  Braces(Entry("a", "F32", "[4294967296,4294967296,4294967296]", "[0,0]")), 0,
                  "a: expected a count of bytes for F32"},
        BadHeader{"NegativeShape", Braces(Entry("a", "F32", "[-1]", "[0,4]")), 4,
                  "a: shape: expected at most 8 dimensions"},
        BadHeader{"RankNine", Braces(Entry("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]")), 4,
                  "shape: expected at most 8 dimensions, got an array of 9"},
        BadHeader{"UnknownType", Braces(Entry("a", "F4", "[1]", "[0,4]")), 4,
                  "a: dtype: expected F32, F16, BF16 or another known type, got \"F4\""},
        BadHeader{"MissingKey", R"({"a":{"dtype":"F32","shape":[1]}})", 4, "got 2 keys"},
        BadHeader{"ExtraKey", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4,
                  "got 4 keys"},
        BadHeader{"OtherKey", R"({"a":{"dtype":"F32","shape":[1],"offsets":[0,4]}})", 4,
                  "data_offsets: expected two offsets, got nothing"},
        BadHeader{
            "DuplicateName",
            Braces(Entry("a", "F32", "[1]", "[0,4]") + "," + Entry("a", "F32", "[1]", "[4,8]")), 8,
            "header: expected distinct keys, got \"a\" twice"},
        BadHeader{"ControlCharacterInName", Braces(Entry("a\\nb", "F32", "[1]", "[0,4]")), 4,
                  "expected a tensor name of 1 to 256 printable characters, got \"a\\nb\""},
        BadHeader{"EmptyName", Braces(Entry("", "F32", "[1]", "[0,4]")), 4,
                  "expected a tensor name"},
        BadHeader{"BadMetadata", R"({"__metadata__":{"a":1}})", 0,
                  "__metadata__: expected an object of strings"},
        BadHeader{"Array", "[]", 0, "header: expected an object, got an array of 0"},
        BadHeader{"Text", "nonsense", 0, "header: expected JSON, got something else at byte"},
        BadHeader{"Empty", "", 0, "header: expected JSON"},
        BadHeader{"TooDeep", R"({"a":[[[[[1]]]]]})", 0, "header: expected at most 4 levels"}),
    [](const auto& test) { return test.param.name; });

TEST(ParseSafetensorsHeaderTest, RefusesTooManyTensors) {
  std::string header = "{";
  for (int i = 0; i < 10'002; ++i) {
    absl::StrAppend(&header, i == 0 ? "" : ",", Entry(absl::StrCat(i), "F32", "[0]", "[0,0]"));
  }
  EXPECT_THAT(Problem(header + "}", 0), HasSubstr("expected at most 10000 tensors, got 10002"));
}

std::string FileProblem(const std::string& content) {
  TempFolder temp;
  testing::WriteFile(temp.path() / "model.safetensors", content);
  const auto folder = ModelFolder::Open(temp.path(), temp.path());
  const auto file = folder->OpenFile("model.safetensors");
  const auto tensors = ReadSafetensorsHeader(*file);
  return tensors.ok() ? "accepted" : std::string(tensors.status().message());
}

TEST(ReadSafetensorsHeaderTest, RefusesHeaderSizes) {
  EXPECT_THAT(FileProblem("1234567"), HasSubstr("expected a safetensors file of at least 8 bytes"));
  const std::string good = testing::SerializeSafetensors("{}", "");
  EXPECT_EQ(FileProblem(good), "accepted");
  EXPECT_THAT(FileProblem(good.substr(0, 9)),
              HasSubstr("model.safetensors: header: expected at most 1 bytes, got a size of 2"));
  EXPECT_THAT(FileProblem(std::string(8, '\xff') + "{}"), HasSubstr("18446744073709551615"));
  const std::string big(size_t{8 << 20} + 1, ' ');
  EXPECT_THAT(FileProblem(testing::SerializeSafetensors(big, "")),
              HasSubstr("header: expected at most 8388608 bytes, got a size of 8388609"));
}

}  // namespace
}  // namespace tailor
