#pragma once
// Why: client.toml, written at enrolment with every option, its default and a comment. Unknown keys are errors with the
// line and the nearest name.

#include <chrono>
#include <string>
#include <vector>

#include "client/sources/command.h"
#include "common/base/result.h"

namespace holdfast::cli {

inline constexpr const char* kDefaultConfig = "/etc/holdfast/client.toml";
inline constexpr const char* kDefaultStateDir = "/var/lib/holdfast";

struct SourceConfig {
  std::string name = "files";
  std::vector<std::string> paths;
  std::vector<std::string> excludes;
  bool one_file_system = true;
  bool honour_cachedir_tag = true;
  std::vector<std::string> markers = {".nobackup"};
};

struct Config {
  std::string server;   ///< HOST:PORT; empty: as in the keyring
  std::string keyring;  ///< file
  std::string state_dir;
  int compression_level = 3;
  std::chrono::seconds reconnect{600};  ///< how long a lost connection is tried to be made again; 0: not at all
  SourceConfig files;
  std::vector<sources::CommandOptions> commands;
};

/// Errors: Config naming file, line and what is wrong; NotFound (not enrolled yet).
Result<Config> read_config(const std::string& path);
/// The text of a new client.toml.
std::string config_text(const Config& config);

}  // namespace holdfast::cli
