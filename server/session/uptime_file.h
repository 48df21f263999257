#pragma once
// Why: what proves across reboots that time has passed (server/retention/uptime.h) must be on the disk when the machine
// stops without a word. DATA/uptime is written at the start, each minute, and at a clean stop (FORMAT.md, section 5).
// It is worth nothing but time: lost or damaged, vault clocks are credited less.

#include <mutex>
#include <string>

#include "common/fs/file_system.h"
#include "server/retention/uptime.h"

namespace holdfast::session {

/// Thread-safe; blocking (a disk pool).
class UptimeFile {
 public:
  static constexpr std::string_view kName = "uptime";
  static constexpr std::chrono::seconds kInterval{60};

  /// Reads DATA/uptime, logs what is wrong with it, and notes this moment.
  UptimeFile(fs::FileSystem& fs, const Clock& clock, const std::string& data_dir);
  /// Notes this moment and writes the file; a failure is logged once, until it goes well again.
  void save();
  const retention::Uptime& uptime() const { return uptime_; }

 private:
  fs::FileSystem& fs_;
  const std::string path_;
  retention::Uptime uptime_;
  std::mutex writing_;
  bool failed_ = false;  ///< under writing_
};

}  // namespace holdfast::session
