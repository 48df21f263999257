#include "client/remote/messages.h"

#include "common/snapshot/records.h"

namespace holdfast::remote {

Errc checked_code(std::uint32_t code) {
  if (code == 0 || code > static_cast<std::uint32_t>(Errc::Missing)) return Errc::Protocol;
  switch (static_cast<Errc>(code)) {
    case Errc::Canceled:  // no signal has stopped us: the server has given up
      return Errc::Unreachable;
    case Errc::Locked:  // nobody holds our lock
      return Errc::Conflict;
    default:
      return static_cast<Errc>(code);
  }
}

Errc checked_blob_code(std::uint32_t code) {
  switch (checked_code(code)) {
    case Errc::NotFound:
      return Errc::Missing;
    case Errc::Missing:
      return Errc::Missing;
    case Errc::Io:
      return Errc::Io;
    default:
      return Errc::Corrupt;
  }
}

std::chrono::nanoseconds clock_difference(std::int64_t server_ns, std::int64_t our_ns) {
  std::int64_t ns = 0;
  if (!__builtin_sub_overflow(server_ns, our_ns, &ns)) return std::chrono::nanoseconds(ns);
  return server_ns < our_ns ? std::chrono::nanoseconds::min() : std::chrono::nanoseconds::max();
}

Error decode(const v1::Failure& failure) {
  std::string message = printable(failure.message());
  if (!failure.request_id().empty()) message += " (server request " + printable(failure.request_id()) + ")";
  return {checked_code(failure.code()), std::move(message)};
}

Result<Opened> decode(const v1::SessionOpened& message) {
  Opened opened;
  HF_TRY(opened.session, read_id<SessionId>(message.session_id()));
  opened.next_sequence = message.next_sequence();
  if (opened.next_sequence == 0) return Error{Errc::Protocol, "the server numbers the next snapshot 0"};
  if (!message.previous().empty()) {
    HF_TRY(opened.previous, read_id<SnapshotId>(message.previous()));
  }
  opened.base_known = message.base_known();
  HF_TRY(opened.head_digest, read_id<Digest>(message.head_digest()));
  opened.head_number = message.head_number();
  opened.quota_bytes = message.quota_bytes();
  opened.used_bytes = message.used_bytes();
  return opened;
}

RunRow decode(const v1::Run& message) {
  return {to_bytes(as_bytes(message.run_record())), to_bytes(as_bytes(message.slot())),
          to_bytes(as_bytes(message.certificate()))};
}

SnapshotRow decode(const v1::Snapshot& message) {
  SnapshotRow row{to_bytes(as_bytes(message.core())), message.received_ns(), message.lock_not_before_ns(),
                  message.state(), std::nullopt};
  if (message.has_run()) row.run = decode(message.run());
  return row;
}

Result<std::uint64_t> sequence_of(const SnapshotRow& row) {
  HF_TRY(const snapshot::VerifiedCore core, snapshot::decode_core(row.core));
  return core.core.sequence;
}

void set_subject(const Subject& subject, v1::Subject* message) {
  message->set_tenant(subject.tenant);
  message->set_client(subject.client);
}

}  // namespace holdfast::remote
