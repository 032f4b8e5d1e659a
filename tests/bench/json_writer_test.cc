#include "tests/bench/json_writer.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace epore::bench {
namespace {

TEST(JsonWriterTest, NestsObjectsAndArrays) {
  JsonWriter json;
  json.begin_object();
  json.field("name", "a").field("n", 3).field("yes", true);
  json.key("list").begin_array().value(1).value(2).end_array();
  json.key("none").begin_array().end_array();
  json.key("inner").begin_object().field("x", 0.5).end_object();
  json.end_object();
  EXPECT_EQ(json.text(),
            "{\n"
            "  \"name\": \"a\",\n"
            "  \"n\": 3,\n"
            "  \"yes\": true,\n"
            "  \"list\": [\n"
            "    1,\n"
            "    2\n"
            "  ],\n"
            "  \"none\": [],\n"
            "  \"inner\": {\n"
            "    \"x\": 0.5\n"
            "  }\n"
            "}");
}

TEST(JsonWriterTest, EscapesWhatMustBeEscaped) {
  JsonWriter json;
  json.value("a\"b\\c\nd\x01 \xc3\xa9");
  EXPECT_EQ(json.text(), "\"a\\\"b\\\\c\\u000ad\\u0001 \xc3\xa9\"");
}

TEST(JsonWriterTest, LargeIntegersStayExact) {
  JsonWriter json;
  json.value(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(json.text(), "18446744073709551615");
}

TEST(JsonWriterTest, WhatIsNoNumberBecomesNull) {
  JsonWriter json;
  json.begin_array().value(std::nan("")).value(HUGE_VAL).end_array();
  EXPECT_EQ(json.text(), "[\n  null,\n  null\n]");
}

}  // namespace
}  // namespace epore::bench
