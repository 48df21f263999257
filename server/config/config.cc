#include "server/config/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "common/identity/identity.h"

namespace holdfast::config {
namespace {

/// One option: its place in the file, its text for people, and how its value is written, read and checked. The only list
/// of options: writing, reading and refusing unknown keys all follow it.
struct Option {
  std::string_view section;  // "" for the top of the file
  std::string_view key;
  std::string_view comment;
  std::string ServerConfig::* text = nullptr;
  std::uint64_t ServerConfig::* number = nullptr;
  std::uint64_t least = 0, most = 0;                    // of a number
  Status (*check)(const std::string& value) = nullptr;  // of a text
};

Status check_data_dir(const std::string& value) {
  if (value.empty() || value[0] != '/') return Error{Errc::Config, "must be an absolute path"};
  return {};
}
Status check_name(const std::string& value) {
  if (identity::valid_name(value)) return {};
  return Error{Errc::Config,
               "must be lower-case letters, digits, '.', '_' and '-', at most 63, opening with a letter or digit"};
}
Status check_listen(const std::string& value) {
  const Result<Address> address = parse_address(value);
  if (!address) return Error{Errc::Config, address.error().message};
  if (!address->numeric())
    return Error{Errc::Config, "'" + printable(address->host) +
                                   "' is no numeric address: name the one to listen on, 0.0.0.0 for all"};
  return {};
}
Status check_public(const std::string& value) {
  if (value.empty()) return {};
  const Result<Address> address = parse_public(value);
  if (!address) return Error{Errc::Config, address.error().message};
  if (address->wildcard())
    return Error{Errc::Config, "clients cannot dial '" + printable(value) + "'; name the host they reach"};
  // Tokens carry it, and a token is pasted into shells.
  if (!identity::valid_address(Address{address->host, 1}.text()))
    return Error{Errc::Config, "'" + printable(value) + "' holds characters that no host name has"};
  return {};
}
Status check_level(const std::string& value) {
  for (const char* known : {"debug", "info", "warning", "error"}) {
    if (value == known) return {};
  }
  return Error{Errc::Config, "must be debug, info, warning or error"};
}
Status check_format(const std::string& value) {
  if (value == "logfmt" || value == "json") return {};
  return Error{Errc::Config, "must be logfmt or json"};
}

constexpr std::uint64_t kTiB = 1ull << 40;

using C = ServerConfig;
const std::vector<Option>& options() {
  static const std::vector<Option> all = {
      {"", "data_dir", "Where everything is kept: tenants, keys, the administration socket. Absolute; mode 0700.",
       &C::data_dir, nullptr, 0, 0, check_data_dir},
      {"", "name", "This server's name in its certificate: holdfast://server/NAME.", &C::name, nullptr, 0, 0,
       check_name},
      {"", "listen", "Service address, ADDR:PORT or [V6]:PORT. Port 0 takes any free one.", &C::listen, nullptr, 0, 0,
       check_listen},
      {"", "public", "What clients dial, HOST or HOST:PORT; goes into enrolment tokens. Empty: the same as `listen`.",
       &C::public_address, nullptr, 0, 0, check_public},
      {"", "enroll_listen", "Enrolment address: new clients bring their token here.", &C::enroll_listen, nullptr, 0, 0,
       check_listen},
      {"", "enroll_public",
       "What new clients dial, HOST or HOST:PORT. Empty: the host of `public`, the port of `enroll_listen`.",
       &C::enroll_public, nullptr, 0, 0, check_public},
      {"log", "level", "debug, info, warning or error. Read again on SIGHUP.", &C::log_level, nullptr, 0, 0,
       check_level},
      {"log", "format", "logfmt or json, one event a line.", &C::log_format, nullptr, 0, 0, check_format},
      {"limits", "min_free_bytes",
       "Below this much free space new backups are refused; running ones end at a quarter of it, collection copies nothing "
       "below an eighth; restores and checks go on.",
       nullptr, &C::min_free_bytes, 0, 1024 * kTiB, nullptr},
      {"limits", "max_connections", "Connections to the service at the same time.", nullptr, &C::max_connections, 1,
       65536, nullptr},
      {"limits", "open_tenants", "Tenants whose index stays open while nobody uses them.", nullptr, &C::open_tenants, 1,
       65536, nullptr},
      {"limits", "index_cache_bytes", "Memory for index blocks, all tenants together.", nullptr, &C::index_cache_bytes,
       1u << 20, kTiB, nullptr},
      {"limits", "index_write_buffer_bytes", "Memory for index writes, all tenants together.", nullptr,
       &C::index_write_buffer_bytes, 1u << 20, kTiB, nullptr},
      {"limits", "disk_threads", "Threads for disk work.", nullptr, &C::disk_threads, 1, 256, nullptr},
      {"deadlines", "idle_seconds", "A connection without any message is closed after this time.", nullptr,
       &C::idle_seconds, 10, 86400, nullptr},
      {"deadlines", "frame_seconds", "Time for one frame to be sent, and for a new connection's first one to arrive.",
       nullptr, &C::frame_seconds, 1, 3600, nullptr},
      {"deadlines", "drain_seconds", "After SIGTERM running requests get this long to end.", nullptr, &C::drain_seconds,
       0, 20, nullptr},
      {"collect", "every_hours", "Hours between two rounds of collection over all tenants; 0: only by command.",
       nullptr, &C::collect_hours, 0, 168, nullptr},
      {"collect", "trash_days",
       "Packs that nothing refers to wait so many days before they are removed; on a full disk only one.", nullptr,
       &C::trash_days, 1, 90, nullptr},
      {"collect", "rewrite_bytes",
       "Bytes that one pass over a tenant may read to rewrite half-dead or small packs; what it writes is part of them.",
       nullptr, &C::collect_rewrite_bytes, 0, 1ull << 50, nullptr},
      {"enrolment", "max_connections", "Connections to the enrolment address at the same time.", nullptr,
       &C::enroll_max_connections, 1, 4096, nullptr},
      {"enrolment", "per_address", "Enrolment requests a minute from one address; two are needed for one client.",
       nullptr, &C::enroll_per_address, 1, 1'000'000, nullptr},
      {"enrolment", "total", "Enrolment requests a minute in all.", nullptr, &C::enroll_total, 1, 1'000'000, nullptr},
      {"enrolment", "certificate_days", "Lifetime of the certificates given to clients and operators.", nullptr,
       &C::certificate_days, 1, 825, nullptr},
  };
  return all;
}

std::string full_name(std::string_view section, std::string_view key) {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

/// A TOML basic string (toml.io, v1.0.0, "String").
std::string quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += '\\', out += c;
    else if (byte < 0x20 || byte == 0x7F)
      out += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
    else
      out += c;
  }
  return out + '"';
}

std::string value_text(const ServerConfig& config, const Option& option) {
  return option.text ? quoted(config.*option.text) : std::to_string(config.*option.number);
}

/// Levenshtein distance, one row at a time.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// The known key nearest to an unknown one; a foreign key may be as long as the file, so it is cut first.
std::string nearest(std::string_view name) {
  name = name.substr(0, 100);
  std::string best;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  for (const Option& option : options()) {
    const std::string known = full_name(option.section, option.key);
    const std::size_t d = std::min(distance(name, known), distance(name, option.key) + 1);
    if (d < least) least = d, best = known;
    // A misspelt [section] is nearer to its own name than to any key.
    if (option.section.empty() || distance(name, option.section) >= least) continue;
    least = distance(name, option.section), best = option.section;
  }
  return best;
}

Error bad(std::string_view file, const toml::source_region& where, std::string_view key, std::string_view why) {
  return {Errc::Config,
          printable(file) + ":" + std::to_string(where.begin.line) + ": " + printable(key) + ": " + std::string(why)};
}

Error unknown_key(std::string_view file, const toml::source_region& where, const std::string& name) {
  return bad(file, where, name, "unknown key; the nearest one is '" + nearest(name) + "'");
}

const Option* find_option(std::string_view section, std::string_view key) {
  for (const Option& option : options()) {
    if (option.section == section && option.key == key) return &option;
  }
  return nullptr;
}

Status set(ServerConfig& config, const Option& option, const toml::node& node, std::string_view file) {
  const std::string name = full_name(option.section, option.key);
  if (option.text) {
    const auto text = node.value_exact<std::string>();
    if (!text) return bad(file, node.source(), name, "must be a text in quotes");
    if (text->find('\0') != std::string::npos) return bad(file, node.source(), name, "must not hold a zero byte");
    if (option.check) {
      if (Status checked = option.check(*text); !checked)
        return bad(file, node.source(), name, checked.error().message);
    }
    config.*option.text = *text;
    return {};
  }
  const auto number = node.value_exact<std::int64_t>();
  if (!number || *number < 0 || static_cast<std::uint64_t>(*number) < option.least ||
      static_cast<std::uint64_t>(*number) > option.most) {
    return bad(file, node.source(), name,
               "must be a whole number from " + std::to_string(option.least) + " to " + std::to_string(option.most));
  }
  config.*option.number = static_cast<std::uint64_t>(*number);
  return {};
}

bool is_section(std::string_view key) {
  return std::any_of(options().begin(), options().end(),
                     [&](const Option& o) { return !o.section.empty() && o.section == key; });
}

Status read_table(ServerConfig& config, const toml::table& table, std::string_view section, std::string_view file) {
  for (const auto& [key, node] : table) {
    if (const Option* option = find_option(section, key.str())) {
      HF_TRY_DO(set(config, *option, node, file));
      continue;
    }
    const toml::table* const inner = node.as_table();
    if (!section.empty() || !is_section(key.str()))
      return unknown_key(file, key.source(), full_name(section, key.str()));
    if (!inner) return bad(file, node.source(), key.str(), "is a section: write [" + std::string(key.str()) + "]");
    HF_TRY_DO(read_table(config, *inner, key.str(), file));
  }
  return {};
}

/// What no single option can know.
Status check_whole(const ServerConfig& config, std::string_view file) {
  const auto fail = [&](std::string why) { return Error{Errc::Config, printable(file) + ": " + std::move(why)}; };
  if (config.data_dir.empty()) return fail("data_dir is missing");
  const Result<Address> listen = parse_address(config.listen);
  if (listen && listen->wildcard() && config.public_address.empty()) {
    return fail("listen = \"" + config.listen +
                "\" takes every address, so clients cannot be told which to dial: set `public`");
  }
  return {};
}

}  // namespace

log::Level ServerConfig::level() const {
  if (log_level == "debug") return log::Level::Debug;
  if (log_level == "warning") return log::Level::Warning;
  return log_level == "error" ? log::Level::Error : log::Level::Info;
}

log::Format ServerConfig::format() const { return log_format == "json" ? log::Format::Json : log::Format::Logfmt; }

std::string encode(const ServerConfig& config) {
  static const ServerConfig defaults;
  std::string out =
      "# Holdfast server. Every option stands here; unknown keys are errors. Times in seconds, sizes in bytes.\n";
  std::string_view section;
  for (const Option& option : options()) {
    if (option.section != section) {
      section = option.section;
      out += "\n[" + std::string(section) + "]\n";
    }
    out += "\n# " + std::string(option.comment);
    if (option.key != "data_dir") out += " Default: " + value_text(defaults, option);
    out += "\n" + std::string(option.key) + " = " + value_text(config, option) + "\n";
  }
  return out;
}

Result<ServerConfig> decode(std::string_view text, std::string_view file) {
  ServerConfig config;
  try {
    const toml::table table = toml::parse(text, file);
    HF_TRY_DO(read_table(config, table, "", file));
  } catch (const toml::parse_error& failure) {
    return Error{Errc::Config, printable(file) + ":" + std::to_string(failure.source().begin.line) + ": " +
                                   printable(failure.description())};
  }
  HF_TRY_DO(check_whole(config, file));
  return config;
}

Result<ServerConfig> load(fs::FileSystem& fs, const std::string& path) {
  HF_TRY(const Bytes bytes, fs::read_file(fs, path, kMaxConfigBytes).context("read the configuration"));
  return decode(as_text(bytes), path);
}

}  // namespace holdfast::config
