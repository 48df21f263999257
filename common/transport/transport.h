#pragma once
// Why: TLS 1.3 with both certificates verified before a byte of ours is parsed, and frames of bounded length over it.
// proto/PROTOCOL.md is the specification. The only user of OpenSSL's TLS.
// Seam: FrameStream has a second implementation in tests (an in-process pair that cuts after n bytes).

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/bytes.h"
#include "common/identity/identity.h"
#include "common/runtime/task.h"

namespace holdfast::transport {

inline constexpr std::size_t kFrameHeaderBytes = 16;
inline constexpr std::size_t kMaxControlBytes = 4u << 20;    ///< a protobuf message
inline constexpr std::size_t kMaxBlobFrameBytes = 8u << 20;  ///< ≥ blob::kMaxRecordBytes
inline constexpr std::size_t kMaxChainBytes = 16u << 10;     ///< a peer's certificate chain

/// Frozen numbers.
enum class FrameType : std::uint8_t { Control = 1, Blob = 2 };

/// header: magic "HF" ‖ version 1 ‖ type ‖ u32 payload length ‖ u64 tag (request id, or the caller's number for a blob).
struct Frame {
  FrameType type = FrameType::Control;
  std::uint64_t tag = 0;
  Bytes payload;
};
Bytes encode_frame_header(FrameType type, std::uint64_t tag, std::size_t payload_bytes);
struct FrameHeader {
  FrameType type;
  std::uint64_t tag;
  std::uint32_t payload_bytes;
};
Result<FrameHeader> decode_frame_header(ByteSpan header);  ///< Errors: Protocol, TooNew, Limit

/// An ordered stream of frames. One thread at a time (its loop); one reader and one writer coroutine may run together.
class FrameStream {
 public:
  virtual ~FrameStream() = default;
  /// Errors: Unreachable when the peer has closed or the connection broke; Timeout (between two frames the stream goes on
  /// to work); Protocol; TooNew; Limit; Canceled after close(); Denied when a server refuses our certificate after the
  /// handshake. Reader and writer both get Denied, whichever of them has met it.
  virtual runtime::Task<Frame> receive(std::chrono::nanoseconds deadline) = 0;
  virtual runtime::Task<void> send(Frame frame, std::chrono::nanoseconds deadline) = 0;
  virtual void close() = 0;  ///< idempotent; wakes whoever waits
  /// The peer's verified name and certificate; operators and clients for a server, the server for a client.
  /// nullopt on a stream without certificates (admin socket, enrolment).
  virtual const std::optional<identity::CertificateFacts>& peer() const = 0;
  virtual std::string peer_address() const = 0;
  /// Of a Unix socket: the peer's user as the kernel knows it. nullopt on every other stream.
  virtual std::optional<std::uint32_t> peer_uid() const { return std::nullopt; }
  /// Bytes on the wire so far, TLS included.
  virtual std::uint64_t bytes_sent() const = 0;
  virtual std::uint64_t bytes_received() const = 0;
};

struct ServerOptions {
  std::string listen;  ///< ADDR:PORT, [V6]:PORT; port 0 = any
  identity::KeyAndCertificate certificate;
  std::string ca_pem;        ///< trust for peers
  bool require_peer = true;  ///< false: enrolment listener (server authentication only)
  std::string alpn;          ///< "holdfast/1", "holdfast-enrol/1"
  std::chrono::nanoseconds handshake_deadline = std::chrono::seconds(10);
  std::size_t max_connections = 2048;
  /// Asked at the end of the handshake, before the session starts: is this certificate denied?
  std::function<bool(const identity::CertificateFacts&)> denied;
};

/// Accepts until closed. Refusals in the handshake are logged with the reason and the address.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual std::string address() const = 0;  ///< with the real port
  virtual void close() = 0;                 ///< stop accepting; sessions go on
  virtual std::size_t connections() const = 0;
  /// Ends every connection: whoever waits on its stream gets Canceled.
  virtual void close_connections() = 0;
  /// Waits until no connection is left. Errors: Timeout.
  virtual runtime::Task<void> drained(std::chrono::nanoseconds deadline) = 0;
};
/// `serve` runs once per connection, on the loop's thread, and owns the stream until it returns.
using Serve = std::function<runtime::Task<void>(std::unique_ptr<FrameStream>)>;
Result<std::unique_ptr<Listener>> listen(runtime::Loop& loop, ServerOptions options, Serve serve);
/// Unix socket, mode 0600; peers of another uid than ours or root are refused (SO_PEERCRED).
Result<std::unique_ptr<Listener>> listen_unix(runtime::Loop& loop, const std::string& path, Serve serve);

struct ClientOptions {
  std::string address;  ///< HOST:PORT; every address of the name is tried
  std::optional<identity::KeyAndCertificate> certificate;
  std::string ca_pem;                    ///< trust; empty only with ca_fingerprint
  std::optional<Digest> ca_fingerprint;  ///< enrolment: the chain's root must have this fingerprint
  std::string alpn;
  std::chrono::nanoseconds connect_deadline = std::chrono::seconds(30);
};
/// Errors: Unreachable, Timeout (name, route, refused port: exit 5); Denied (either side does not accept the other's
/// certificate, wrong SAN, wrong ALPN: exit 4).
runtime::Task<std::unique_ptr<FrameStream>> connect(runtime::Loop& loop, ClientOptions options);
runtime::Task<std::unique_ptr<FrameStream>> connect_unix(runtime::Loop& loop, std::string path);

}  // namespace holdfast::transport
