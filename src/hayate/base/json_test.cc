#include "hayate/base/json.h"

#include <gtest/gtest.h>

namespace hayate {
namespace {

TEST(JsonTest, WhatIsNoJsonIsAnErrorThatNamesItAndNoException) {
  for (const char* text : {"", "{", "[1e999]", "{\"a\": 1}}", "\xff"}) {
    const auto json = ParseJson(text, "frame.json");
    ASSERT_FALSE(json.ok()) << text;
    EXPECT_EQ(FaultOf(json.status()), Fault::kInput);
    EXPECT_EQ(FaultDetail::Get(json.status())->where().object, "frame.json");
  }
}

}  // namespace
}  // namespace hayate
