#pragma once
// Why: what every command of holdfastctl has in common: the command line, asking, ending.

#include <CLI/CLI.hpp>
#include <string>

#include "common/console/console.h"
#include "common/console/exit_code.h"
#include "server/ctl/daemon.h"

namespace holdfast::ctl {

/// What the command line said.
struct Arguments {
  std::string config = "/etc/holdfast/server.toml";
  console::Options output;
  std::string name, plan, quota, expires, subject, tenant, snapshot, source, label;
  bool read_data = false, dry_run = false;
};

/// One command: fills the request, asks, shows. Returns the exit code.
using Command = int (*)(console::Console& out, const std::string& socket, const Arguments& arguments);

void show_note(console::Console& out, const v1::AdminResponse& response);
/// The program's end: what was asked has failed, or the answers could not be written, or `code`.
int end(console::Console& out, const Status& asked, int code = console::kDone);
/// A subcommand that carries out `which`.
CLI::App* command(CLI::App& parent, const char* name, const char* text, Command* chosen, Command which);

/// purge, snapshot …, source …
void add_life_commands(CLI::App& app, Arguments& arguments, Command* chosen);
/// client retire
void add_client_retire(CLI::App& client, Arguments& arguments, Command* chosen);

}  // namespace holdfast::ctl
