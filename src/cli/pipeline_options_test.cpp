// SPDX-License-Identifier: Apache-2.0
#include "cli/pipeline_options.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace hawse::cli {
namespace {

using pipeline::ExecutorKind;

TEST(PipelineOptions, a_variables_value_may_hold_an_equals_sign) {
  EXPECT_EQ(parse_load_options({"input=http://x/?a=b"}, {}, {}).set.at("input"), "http://x/?a=b");
}

TEST(PipelineOptions, a_variable_may_be_empty) { EXPECT_EQ(parse_load_options({"input="}, {}, {}).set.at("input"), ""); }

TEST(PipelineOptions, an_executor_is_for_one_node_or_for_all) {
  const auto options = parse_load_options({}, {"container", "speech=process"}, {});
  ASSERT_EQ(options.executors.size(), 2u);
  EXPECT_EQ(options.executors[0], std::make_pair(std::string(), ExecutorKind::container));
  EXPECT_EQ(options.executors[1], std::make_pair(std::string("speech"), ExecutorKind::process));
}

TEST(PipelineOptions, an_environment_variable_is_for_one_node_or_for_all) {
  using Pair = std::pair<std::string, std::string>;
  const auto env = parse_load_options({}, {}, {"LEVEL=3", "recognise=LD_PRELOAD=/lib/x.so", "PATHS=/a:/b=c", "node-1=A=B=C"}).env;
  ASSERT_EQ(env.size(), 4u);
  EXPECT_EQ(env[0], std::make_pair(std::string(), Pair("LEVEL", "3")));
  EXPECT_EQ(env[1], std::make_pair(std::string("recognise"), Pair("LD_PRELOAD", "/lib/x.so")));
  EXPECT_EQ(env[2], std::make_pair(std::string(), Pair("PATHS", "/a:/b=c")));
  EXPECT_EQ(env[3], std::make_pair(std::string("node-1"), Pair("A", "B=C")));
}

TEST(PipelineOptions, what_is_malformed_is_a_usage_error_that_says_how_to_write_it) {
  const auto refuse = [](const std::vector<std::string>& set, const std::vector<std::string>& executors, const std::vector<std::string>& env,
                         const std::string& hint) {
    try {
      parse_load_options(set, executors, env);
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::usage);
      EXPECT_EQ(error.hint(), hint);
    }
  };
  refuse({"input"}, {}, {}, "write --set NAME=VALUE");
  refuse({"=x"}, {}, {}, "write --set NAME=VALUE");
  refuse({}, {"speech=contaner"}, {}, "did you mean 'container'?");
  refuse({}, {}, {"1X=3"}, "write --env [NODE=]NAME=VALUE");
}

}  // namespace
}  // namespace hawse::cli
