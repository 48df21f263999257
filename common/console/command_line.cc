#include "common/console/command_line.h"

#include <CLI/CLI.hpp>
#include <vector>

#include "common/base/bytes.h"

namespace holdfast::console {
namespace {

std::string names_of_commands(const CLI::App& app) {
  std::string out;
  for (const CLI::App* const command : app.get_subcommands([](const CLI::App*) { return true; }))
    out += (out.empty() ? "" : ", ") + command->get_name();
  return out;
}

}  // namespace

std::string usage_text(const CLI::App& app, const CLI::ParseError& refusal) {
  const CLI::App* last = &app;
  std::string path = app.get_name();
  while (!last->get_subcommands().empty()) {
    last = last->get_subcommands().front();
    path += " " + last->get_name();
  }
  const std::string commands = names_of_commands(*last);
  const auto code = static_cast<CLI::ExitCodes>(refusal.get_exit_code());
  const bool about_commands = code == CLI::ExitCodes::RequiredError || code == CLI::ExitCodes::ExtrasError;
  if (!about_commands || commands.empty()) return printable(refusal.what());
  const std::vector<std::string> unknown = app.remaining(true);
  if (unknown.empty()) return "which command? `" + path + "` has " + commands;
  const std::string word = printable(unknown.front());
  if (word.starts_with('-')) return "no option " + word + "; `" + path + " --help` lists them";
  return "no command '" + word + "': `" + path + "` has " + commands;
}

}  // namespace holdfast::console
