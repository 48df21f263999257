#pragma once
// Translation between protobuf messages and the values of remote.h. The peer's bytes are checked here.

#include <string>

#include "client/remote/remote.h"
#include "proto/holdfast/v1/service.pb.h"

namespace holdfast::remote {

namespace v1 = ::holdfast::v1;

inline constexpr std::uint32_t kProtocolVersion = 1;

inline std::string text_of(ByteSpan bytes) { return std::string(as_text(bytes)); }
template <class Id>
  requires requires(const Id& i) {
    i.bytes.size();
    Id::kBytes;
  }
std::string text_of(const Id& id) {
  return std::string(as_text(id.bytes));
}

/// Errors: Protocol when the length is wrong.
template <class Id>
Result<Id> read_id(const std::string& text) {
  if (text.size() != Id::kBytes)
    return Error{Errc::Protocol, "the server sent an id of " + std::to_string(text.size()) + " bytes"};
  return Id::from_bytes(as_bytes(text));
}

/// Unknown numbers become Protocol. No word of the server's may pass for a signal that stopped us, or for our own lock.
Errc checked_code(std::uint32_t code);
/// Why one blob of many cannot be had: Missing, Io, Corrupt, whatever the server calls it. Its full disk is not ours.
Errc checked_blob_code(std::uint32_t code);
/// `server_ns` - `our_ns`, held at the ends of the type: a server may state any time.
std::chrono::nanoseconds clock_difference(std::int64_t server_ns, std::int64_t our_ns);
Error decode(const v1::Failure& failure);
Result<Opened> decode(const v1::SessionOpened& message);
RunRow decode(const v1::Run& message);
SnapshotRow decode(const v1::Snapshot& message);
/// Sequence number inside a row's core. Errors: Corrupt.
Result<std::uint64_t> sequence_of(const SnapshotRow& row);
void set_subject(const Subject& subject, v1::Subject* message);

}  // namespace holdfast::remote
