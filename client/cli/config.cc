#include "client/cli/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "common/base/bytes.h"
#include "common/fs/file_system.h"

namespace holdfast::cli {
namespace {

constexpr std::int64_t kMaxReconnectSeconds = 86400;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0u);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// One table of the file: takes its keys, then complains of what is left.
class Section {
 public:
  Section(const std::string& file, const toml::table& table, std::string prefix)
      : file_(file), table_(table), prefix_(std::move(prefix)) {}

  template <class T>
  void take(const char* key, T* out) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr || failure) return;
    if (const auto value = node->value_exact<T>())
      *out = *value;
    else
      failure = at(*node, "'" + prefix_ + key + "' has the wrong type");
  }
  void take(const char* key, std::vector<std::string>* out) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr || failure) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      failure = at(*node, "'" + prefix_ + key + "' must be a list of strings");
      return;
    }
    out->clear();
    for (const toml::node& one : *array) {
      if (const auto text = one.value_exact<std::string>())
        out->push_back(*text);
      else
        failure = at(one, "'" + prefix_ + key + "' must be a list of strings");
    }
  }
  const toml::table* table(const char* key) {
    known_.push_back(key);
    const toml::node* node = table_.get(key);
    if (node == nullptr || failure) return nullptr;
    if (node->as_table() == nullptr) failure = at(*node, "'" + prefix_ + key + "' must be a table");
    return node->as_table();
  }
  std::vector<const toml::table*> tables(const char* key) {
    known_.push_back(key);
    std::vector<const toml::table*> out;
    const toml::node* node = table_.get(key);
    if (node == nullptr || failure) return out;
    const toml::array* array = node->as_array();
    if (array == nullptr) failure = at(*node, "'" + prefix_ + key + "' must be written as [[" + prefix_ + key + "]]");
    for (std::size_t i = 0; array != nullptr && !failure && i < array->size(); ++i) {
      const toml::node& one = *array->get(i);
      if (one.as_table() == nullptr)
        failure = at(one, "'" + prefix_ + key + "' must be written as [[" + prefix_ + key + "]]");
      out.push_back(one.as_table());
    }
    return out;
  }
  /// A complaint about the table as a whole.
  void refuse(const std::string& what) {
    if (!failure) failure = at(table_, what);
  }
  void end() {
    for (const auto& [key, node] : table_) {
      if (failure) return;
      const std::string name(key.str());
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      const auto nearest = std::min_element(known_.begin(), known_.end(), [&](const auto& a, const auto& b) {
        return edit_distance(name, a) < edit_distance(name, b);
      });
      failure = at(node, "unknown key '" + prefix_ + printable(name) + "'; did you mean '" + prefix_ + *nearest + "'?");
    }
  }
  std::optional<Error> failure;

 private:
  Error at(const toml::node& node, const std::string& what) const {
    return {Errc::Config, file_ + ":" + std::to_string(node.source().begin.line) + ": " + what};
  }
  const std::string& file_;
  const toml::table& table_;
  std::string prefix_;
  std::vector<std::string> known_;
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += "\\u00" + to_hex(as_bytes(std::string_view(&c, 1)));
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& one : items) out += (out.size() > 1 ? ", " : "") + quoted(one);
  return out + "]";
}

Result<sources::CommandOptions> read_command(const std::string& path, const toml::table& table) {
  sources::CommandOptions out;
  Section section(path, table, "command.");
  section.take("name", &out.name);
  section.take("command", &out.command);
  section.end();
  if (out.command.empty()) section.refuse("'command.command' must be set");
  if (Status fits = sources::check_stream_name(out.name); !fits)
    section.refuse("'command.name': " + fits.error().message);
  if (section.failure) return *section.failure;
  return out;
}

}  // namespace

Result<Config> read_config(const std::string& path) {
  Result<Bytes> bytes = fs::read_file(fs::real(), path, 1u << 20);
  if (!bytes && bytes.error().code == Errc::NotFound) {
    return Error{Errc::Config,
                 "read the configuration " + path +
                     ": there is none; `holdfast enroll --token TOKEN` writes it, --config FILE names another one"};
  }
  if (!bytes) return std::move(bytes).error().with_context("read the configuration");
  const toml::parse_result parsed = [&]() -> toml::parse_result {
#if TOML_EXCEPTIONS
    try {
      return toml::parse(as_text(*bytes), path);
    } catch (const toml::parse_error& error) {
      toml::table broken;
      broken.insert("\x01line", static_cast<std::int64_t>(error.source().begin.line));
      broken.insert("\x01what", std::string(error.description()));
      return broken;
    }
#else
    return toml::parse(as_text(*bytes), path);
#endif
  }();
  if (const toml::node* what = parsed.get("\x01what")) {
    return Error{Errc::Config, path + ":" + std::to_string(parsed.get("\x01line")->value_or<std::int64_t>(0)) + ": " +
                                   what->value_or<std::string>("not TOML")};
  }
  Config config;
  std::int64_t level = config.compression_level, reconnect = config.reconnect.count();
  Section top(path, parsed, "");
  top.take("server", &config.server);
  top.take("keyring", &config.keyring);
  top.take("state_dir", &config.state_dir);
  top.take("compression_level", &level);
  top.take("reconnect_seconds", &reconnect);
  const toml::table* files = top.table("files");
  const std::vector<const toml::table*> commands = top.tables("command");
  top.end();
  if (top.failure) return *top.failure;
  if (files != nullptr) {
    Section section(path, *files, "files.");
    section.take("name", &config.files.name);
    section.take("paths", &config.files.paths);
    section.take("excludes", &config.files.excludes);
    section.take("one_file_system", &config.files.one_file_system);
    section.take("honour_cachedir_tag", &config.files.honour_cachedir_tag);
    section.take("markers", &config.files.markers);
    section.end();
    if (section.failure) return *section.failure;
  }
  for (const toml::table* one : commands) {
    HF_TRY(sources::CommandOptions command, read_command(path, *one));
    const auto same = std::find_if(config.commands.begin(), config.commands.end(),
                                   [&](const sources::CommandOptions& other) { return other.name == command.name; });
    if (same != config.commands.end() || command.name == config.files.name) {
      return Error{Errc::Config, path + ":" + std::to_string(one->source().begin.line) +
                                     ": two sources have the name '" + printable(command.name) +
                                     "'; each needs its own"};
    }
    config.commands.push_back(std::move(command));
  }
  if (level < 1 || level > 19)
    return Error{Errc::Config, path + ": compression_level must be from 1 to 19, not " + std::to_string(level)};
  if (reconnect < 0 || reconnect > kMaxReconnectSeconds) {
    return Error{Errc::Config, path + ": reconnect_seconds must be from 0 to " + std::to_string(kMaxReconnectSeconds) +
                                   " (a day), not " + std::to_string(reconnect)};
  }
  if (config.keyring.empty() || config.state_dir.empty()) {
    return Error{Errc::Config, path + ": 'keyring' and 'state_dir' must be set"};
  }
  config.compression_level = static_cast<int>(level);
  config.reconnect = std::chrono::seconds(reconnect);
  return config;
}

std::string config_text(const Config& config) {
  std::string out;
  out += "# Holdfast client. Every option is here with its default; lines that begin with '#' are comments.\n\n";
  out += "# HOST:PORT of the server. Empty: as it was at enrolment.\n";
  out += "server = " + quoted(config.server) + "\n\n";
  out += "# This machine's keys and certificate (0600).\n";
  out += "keyring = " + quoted(config.keyring) + "\n\n";
  out +=
      "# What the client remembers of its last run, its lock and its last receipt. May be lost: the next run reads "
      "everything once.\n";
  out += "state_dir = " + quoted(config.state_dir) + "\n\n";
  out += "# zstd level, 1 (fast) to 19 (small). Default 3.\n";
  out += "compression_level = " + std::to_string(config.compression_level) + "\n\n";
  out +=
      "# How long to go on trying when the connection to the server is lost in the middle of the work, in seconds without\n"
      "# any progress. Then the command fails (exit 5); what the server has acknowledged stays there. 0: not at all.\n"
      "# Default 600.\n";
  out += "reconnect_seconds = " + std::to_string(config.reconnect.count()) + "\n\n";
  out += "# What `holdfast backup` takes when no PATH is given.\n[files]\n";
  out += "# Name of the source; `restore latest --source NAME` picks by it. Default \"files\".\n";
  out += "name = " + quoted(config.files.name) + "\n";
  out += "# Absolute paths. Default none.\npaths = " + list(config.files.paths) + "\n";
  out += "# Patterns as in .gitignore. Default none.\nexcludes = " + list(config.files.excludes) + "\n";
  out += "# Stay on the file system of each path; what is skipped for it is named. Default true.\n";
  out += std::string("one_file_system = ") + (config.files.one_file_system ? "true" : "false") + "\n";
  out += "# Leave out the contents of directories with a CACHEDIR.TAG. Default true.\n";
  out += std::string("honour_cachedir_tag = ") + (config.files.honour_cachedir_tag ? "true" : "false") + "\n";
  out += "# Leave out the contents of directories that hold one of these files. Default [\".nobackup\"].\n";
  out += "markers = " + list(config.files.markers) + "\n\n";
  out +=
      "# Streams: what commands write, each kept under a name of its own. `holdfast backup` without PATH and --command\n"
      "# takes them beside [files]. They run under /bin/sh; one that does not end with status 0 fails its source: in a\n"
      "# pipeline only the last program's status counts, so use bash -c 'set -o pipefail; …'. Passwords belong into files\n"
      "# such as ~/.pgpass. Write one [[command]] for each; the restore is `holdfast restore SNAP --stream NAME`. Default none.\n";
  if (config.commands.empty()) {
    out +=
        "# [[command]]\n# name = \"shop.dump\"\n"
        "# command = \"pg_dump --format=custom --compress=0 shop\"\n";
  }
  for (const sources::CommandOptions& one : config.commands)
    out += "[[command]]\nname = " + quoted(one.name) + "\ncommand = " + quoted(one.command) + "\n";
  return out;
}

}  // namespace holdfast::cli
