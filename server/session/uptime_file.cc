#include "server/session/uptime_file.h"

#include "common/base/log.h"
#include "server/session/small_file.h"

namespace holdfast::session {
namespace {

constexpr std::string_view kMagic = "HFUP";

retention::UptimeLedger load(fs::FileSystem& fs, const std::string& path) {
  const Result<Bytes> body = read_small_file(fs, path, kMagic);
  Result<retention::UptimeLedger> ledger =
      body ? retention::UptimeLedger::decode(*body) : Result<retention::UptimeLedger>(body.error());
  if (ledger) return *std::move(ledger);
  if (ledger.error().code == Errc::NotFound)
    log::info("no record of earlier boots yet", {{"file", path}});
  else
    log::warning("record of earlier boots unreadable: vault clocks are credited less",
                 {{"file", path}, {"why", ledger.error().message}});
  return {};
}

}  // namespace

UptimeFile::UptimeFile(fs::FileSystem& fs, const Clock& clock, const std::string& data_dir)
    : fs_(fs), path_(fs::join(data_dir, kName)), uptime_(clock, load(fs, path_)) {
  uptime_.note();
}

void UptimeFile::save() {
  const std::lock_guard lock(writing_);
  uptime_.note();
  const Status saved = write_small_file(fs_, path_, kMagic, uptime_.encode());
  if (!saved && !failed_)
    log::warning("record of boots not written", {{"file", path_}, {"why", saved.error().message}});
  failed_ = !saved;
}

}  // namespace holdfast::session
