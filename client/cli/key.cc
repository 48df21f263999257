// `holdfast key`: the tenant kit, made and kept off line.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "client/cli/app.h"

namespace holdfast::cli {
namespace {

struct KeyOptions {
  std::string out, kit, passphrase_file;
};

/// Keys are never written over others. Said before anything is made; the writing itself replaces nothing either.
Status check_free(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (fs::real().stat(path))
      return Error{Errc::Exists, "write keys to '" + printable(path) +
                                     "': the file is there already and keys are never overwritten; give another --out"};
  }
  return {};
}

int make(const Global& global, const KeyOptions& options) {
  console::Console out("holdfast", global.output);
  const Result<Bytes> passphrase = read_passphrase(options.passphrase_file);
  if (!passphrase) return fail(out, passphrase.error());
  const keyring::Kit kit = keyring::make_kit(system_random());
  const std::string path = absolute_path(options.out);
  const std::string recovery_path = path + ".recovery";
  if (const Status free = check_free({path, recovery_path}); !free) return fail(out, free.error());
  if (Status s = keyring::write_kit(fs::real(), path, kit, *passphrase, system_random()); !s)
    return fail(out, s.error());
  const keyring::RecoveryKey recovery = keyring::recovery_of(kit);
  if (Status s = keyring::write_recovery(fs::real(), recovery_path, recovery, *passphrase, system_random()); !s)
    return fail(out, s.error());
  const std::string fingerprint = kit.root.public_key().hex();
  if (passphrase->empty())
    out.warning("neither file is protected by a passphrase (--passphrase-file); whoever reads one reads every backup");
  console::Json result{
      {"type", "result"}, {"ok", true}, {"kit", path}, {"recovery", recovery_path}, {"root", fingerprint}};
  out.json(result);
  out.print("Kit:          " + printable(path) + "   enrols clients and opens everything: keep it off line");
  out.print("Recovery key: " + printable(recovery_path) + "   opens everything: keep a copy in another place");
  out.print("Root key:     " + fingerprint + "   (write this down; it tells a right kit from a wrong one)");
  return console::kDone;
}

int recovery(const Global& global, const KeyOptions& options) {
  console::Console out("holdfast", global.output);
  const Result<Bytes> passphrase = read_passphrase(options.passphrase_file);
  if (!passphrase) return fail(out, passphrase.error());
  const Result<keyring::Kit> kit = keyring::read_kit(fs::real(), options.kit, *passphrase);
  if (!kit) return fail(out, kit.error());
  const std::string path = absolute_path(options.out);
  if (const Status free = check_free({path}); !free) return fail(out, free.error());
  const keyring::RecoveryKey key = keyring::recovery_of(*kit);
  if (Status s = keyring::write_recovery(fs::real(), path, key, *passphrase, system_random()); !s)
    return fail(out, s.error());
  console::Json result{{"type", "result"}, {"ok", true}, {"recovery", path}, {"root", key.root.hex()}};
  out.json(result);
  out.print("Recovery key: " + printable(path));
  return console::kDone;
}

}  // namespace

void add_key(CLI::App& app, Body* body) {
  CLI::App* key = app.add_subcommand("key", "Make and copy the tenant's keys (on the key holder's station)");
  key->require_subcommand(1);
  const auto options = std::make_shared<KeyOptions>();
  CLI::App* made = key->add_subcommand(
      "new", "Make a tenant kit: root key, recovery key, tenant secret; and its recovery file FILE.recovery");
  made->add_option("--out", options->out, "File to write (must not exist)")->required();
  made->add_option("--passphrase-file", options->passphrase_file,
                   "Protect both files with the passphrase in this file");
  made->callback([=] { *body = [=](const Global& global) { return make(global, *options); }; });
  CLI::App* copied = key->add_subcommand("recovery", "Write the recovery file of a kit");
  copied->add_option("--kit", options->kit, "The kit")->required();
  copied->add_option("--out", options->out, "File to write (must not exist)")->required();
  copied->add_option("--passphrase-file", options->passphrase_file, "Passphrase of the kit, and of the new file");
  copied->callback([=] { *body = [=](const Global& global) { return recovery(global, *options); }; });
}

}  // namespace holdfast::cli
