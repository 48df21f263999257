#include "server/ctl/command.h"

namespace holdfast::ctl {

void show_note(console::Console& out, const v1::AdminResponse& response) {
  if (!response.note().empty()) out.note(response.note());
}

int end(console::Console& out, const Status& asked, int code) {
  if (!asked) return out.fail(asked.error());
  if (const Status written = out.finish(); !written) return out.fail(written.error());
  return code;
}

CLI::App* command(CLI::App& parent, const char* name, const char* text, Command* chosen, Command which) {
  CLI::App* const made = parent.add_subcommand(name, text);
  made->callback([chosen, which] { *chosen = which; });
  return made;
}

}  // namespace holdfast::ctl
