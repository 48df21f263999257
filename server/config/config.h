#pragma once
// Why: server.toml, the whole of what an operator can set. Written with every option, its default and a comment; read
// strictly: an unknown key is an error with its line and the nearest name, never silently ignored.
// Leaves to others: keys and certificates (identity_files.h), making a new data directory (init.h).

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/log.h"
#include "common/fs/file_system.h"

namespace holdfast::config {

/// HOST:PORT, [V6]:PORT. Value type.
struct Address {
  std::string host;  ///< without brackets
  std::uint16_t port = 0;
  std::string text() const;  ///< brackets put back where the host has a colon
  /// 0.0.0.0 or ::, in any spelling: listens everywhere, cannot be dialled.
  bool wildcard() const;
  bool numeric() const;  ///< an IPv4 or IPv6 address, no name
  bool operator==(const Address&) const = default;
};
/// HOST:PORT; an empty host or "*" is read as 0.0.0.0. Errors: Usage.
Result<Address> parse_address(std::string_view text);
/// HOST or HOST:PORT; the port is 0 when there is none. Errors: Usage.
Result<Address> parse_public(std::string_view text);

/// Every option with its default. Immutable after being read.
struct ServerConfig {
  std::string data_dir;
  std::string name = "holdfast";
  std::string listen = "127.0.0.1:8700";
  std::string public_address;  ///< HOST[:PORT]; empty: as `listen`
  std::string enroll_listen = "127.0.0.1:8701";
  std::string enroll_public;  ///< HOST[:PORT]; empty: host of public_address, port of enroll_listen

  std::string log_level = "info";     ///< debug, info, warning, error
  std::string log_format = "logfmt";  ///< logfmt, json

  std::uint64_t min_free_bytes = 64u << 20;  ///< below it new sessions are refused
  std::uint64_t max_connections = 2048;
  std::uint64_t open_tenants = 64;
  std::uint64_t index_cache_bytes = 256u << 20;
  std::uint64_t index_write_buffer_bytes = 64u << 20;
  std::uint64_t disk_threads = 8;

  std::uint64_t idle_seconds = 600;  ///< a connection without a frame
  std::uint64_t frame_seconds = 60;  ///< one frame, and the first one
  std::uint64_t drain_seconds = 20;  ///< after SIGTERM

  std::uint64_t collect_hours = 6;                    ///< between two rounds of collection; 0: by command only
  std::uint64_t trash_days = 7;                       ///< condemned packs wait
  std::uint64_t collect_rewrite_bytes = 16ull << 30;  ///< read to rewrite packs in one pass over a tenant, at most

  std::uint64_t enroll_max_connections = 64;
  std::uint64_t enroll_per_address = 120;  ///< requests a minute from one address
  std::uint64_t enroll_total = 1200;       ///< requests a minute in all
  std::uint64_t certificate_days = 90;     ///< of clients and operators

  log::Level level() const;
  log::Format format() const;
};

inline constexpr std::uint64_t kMaxConfigBytes = 1u << 20;

/// The file's text: every option with its value, its default and what it does.
std::string encode(const ServerConfig& config);
/// `file` is for messages. Errors: Config, naming file, line and key.
Result<ServerConfig> decode(std::string_view text, std::string_view file);
/// Errors: Config; NotFound when the file is not there.
Result<ServerConfig> load(fs::FileSystem& fs, const std::string& path);

}  // namespace holdfast::config
