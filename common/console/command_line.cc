#include "common/console/command_line.h"

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
  const bool wants_command = refusal.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError);
  if (!wants_command || commands.empty()) return printable(refusal.what());
  for (const std::string& word : app.remaining(true)) {
    if (!word.starts_with('-')) return "no command '" + printable(word) + "': `" + path + "` has " + commands;
  }
  return "which command? `" + path + "` has " + commands;
}

}  // namespace holdfast::console
