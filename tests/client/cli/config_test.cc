#include "client/cli/config.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_directory.h"

namespace holdfast::cli {
namespace {

class ConfigFile : public ::testing::Test {
 protected:
  Result<Config> read(const std::string& text) {
    const std::string path = tmp / "client.toml";
    std::ofstream(path) << text;
    return read_config(path);
  }
  /// The message of a Config error.
  std::string refusal(const std::string& text) {
    const Result<Config> refused = read(kBase + text);
    if (refused) return "accepted";
    EXPECT_EQ(refused.error().code, Errc::Config);
    return refused.error().message;
  }
  const std::string kBase = "keyring = \"/k\"\nstate_dir = \"/s\"\n";
  const support::TemporaryDirectory tmp;
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

TEST_F(ConfigFile, AsWrittenNamesNoCommandAndShowsHow) {
  Config config;
  config.keyring = "/k";
  config.state_dir = "/s";
  const std::string text = config_text(config);
  EXPECT_TRUE(contains(text, "# [[command]]\n# name = "));
  const Result<Config> back = read(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_TRUE(back->commands.empty());
}

TEST_F(ConfigFile, KeepsCommandsInTheirOrder) {
  Config config;
  config.keyring = "/k";
  config.state_dir = "/s";
  config.commands = {{"z.sql", "pg_dump \"z\" | tr '\\n' ' '"}, {"a.sql", "line one\nline two\t"}};
  const Result<Config> back = read(config_text(config));
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->commands.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back->commands[i].name, config.commands[i].name);
    EXPECT_EQ(back->commands[i].command, config.commands[i].command);
  }
}

TEST_F(ConfigFile, RefusesAnUnknownKeyOfACommandWithItsLineAndTheNearestName) {
  const std::string message = refusal("[[command]]\nname = \"x\"\ncomand = \"true\"\n");
  EXPECT_TRUE(contains(message, "client.toml:5: ")) << message;
  EXPECT_TRUE(contains(message, "did you mean 'command.command'?")) << message;
}

TEST_F(ConfigFile, RefusesACommandThatIsNotWhole) {
  EXPECT_TRUE(contains(refusal("[[command]]\nname = \"x\"\n"), "'command.command' must be set"));
  EXPECT_TRUE(contains(refusal("[[command]]\nname = \"x\"\ncommand = \"\"\n"), "'command.command' must be set"));
  EXPECT_TRUE(contains(refusal("[[command]]\ncommand = \"true\"\n"), "'command.name'"));
  EXPECT_TRUE(contains(refusal("[[command]]\nname = \"a/b\"\ncommand = \"true\"\n"), "'a/b'"));
  EXPECT_TRUE(contains(refusal("[[command]]\nname = 7\ncommand = \"true\"\n"), "'command.name' has the wrong type"));
  EXPECT_TRUE(contains(refusal("[command]\nname = \"x\"\ncommand = \"true\"\n"), "must be written as [[command]]"));
  EXPECT_TRUE(contains(refusal("command = [\"true\"]\n"), "must be written as [[command]]"));
}

TEST_F(ConfigFile, RefusesTwoSourcesOfOneName) {
  const std::string one = "[[command]]\nname = \"x\"\ncommand = \"true\"\n";
  EXPECT_TRUE(contains(refusal(one + one), "two sources have the name 'x'"));
  EXPECT_TRUE(contains(refusal("[files]\nname = \"x\"\n" + one), "client.toml:5: two sources have the name 'x'"));
}

}  // namespace
}  // namespace holdfast::cli
