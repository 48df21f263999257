#include "server/ctl/daemon.h"

#include <toml++/toml.h>

#include <optional>

#include "common/fs/file_system.h"
#include "common/transport/transport.h"

namespace holdfast::ctl {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 1u << 20;
constexpr std::chrono::seconds kSendDeadline{60};
/// A check of a full store takes days; a daemon that dies closes the socket, which ends the wait at once.
constexpr std::chrono::hours kAnswerDeadline{24 * 30};

using Answer = std::function<void(const v1::AdminResponse&)>;

Errc checked_code(std::uint32_t code) {
  if (code > static_cast<std::uint32_t>(Errc::Missing)) return Errc::Protocol;
  return static_cast<Errc>(code);
}

Error failure_of(const v1::AdminResponse& response) {
  std::string message = response.error_message();
  if (!response.request_id().empty()) message += " (server request " + response.request_id() + ")";
  return {checked_code(response.error_code()), std::move(message)};
}

runtime::Task<void> converse(runtime::Loop& loop, const std::string& socket, const v1::AdminRequest& request,
                             const Answer& answer) {
  HF_CO_TRY(const std::unique_ptr<transport::FrameStream> stream, co_await transport::connect_unix(loop, socket));
  transport::Frame out;
  out.tag = 1;
  out.payload = to_bytes(as_bytes(request.SerializeAsString()));
  HF_CO_TRY_DO(co_await stream->send(std::move(out), kSendDeadline));
  for (;;) {
    HF_CO_TRY(const transport::Frame frame, co_await stream->receive(kAnswerDeadline));
    v1::AdminResponse response;
    if (!response.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
      co_return Error{Errc::Protocol, "the daemon's answer does not parse: is it of another version?"};
    }
    if (response.error_code() != 0) co_return failure_of(response);
    answer(response);
    if (response.done()) co_return Status{};
  }
}

}  // namespace

Result<std::string> socket_path(const std::string& config_file) {
  HF_TRY(const Bytes bytes, fs::read_file(fs::real(), config_file, kMaxConfigBytes)
                                .context("read the server's configuration (--config FILE names it)"));
  try {
    const toml::table table = toml::parse(as_text(bytes), config_file);
    const std::optional<std::string> directory = table["data_dir"].value<std::string>();
    if (directory && directory->starts_with('/')) return fs::join(*directory, "admin.sock");
    return Error{Errc::Config, printable(config_file) + ": data_dir is missing or not an absolute path"};
  } catch (const toml::parse_error& failure) {
    return Error{Errc::Config, printable(config_file) + ":" + std::to_string(failure.source().begin.line) + ": " +
                                   printable(failure.description())};
  }
}

Status ask(const std::string& socket, const v1::AdminRequest& request, const Answer& answer) {
  runtime::Loop loop;
  std::optional<Status> end;
  runtime::Task<void> task = converse(loop, socket, request, answer);
  loop.spawn(std::move(task), [&](Status status) {
    end.emplace(std::move(status));
    loop.stop();
  });
  loop.run();
  return *std::move(end);
}

}  // namespace holdfast::ctl
