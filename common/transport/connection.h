#pragma once
// Inside transport/ only: a FrameStream over a socket, with or without TLS.

#include "common/runtime/condition.h"
#include "common/transport/socket.h"
#include "common/transport/tls.h"
#include "common/transport/transport.h"

namespace holdfast::transport {

/// What may arrive on a listener that knows no certificate of its peers (enrolment): one small message.
inline constexpr std::size_t kMaxStrangerBytes = 64u << 10;

class Connection final : public FrameStream {
 public:
  struct Setup {
    std::shared_ptr<Socket> socket;         ///< shared with whoever discards what comes after close()
    std::shared_ptr<const TlsContext> tls;  ///< none: plain (Unix socket)
    std::string address;                    ///< of the peer
    std::string peer_words;                 ///< in errors: "the server at HOST:PORT"
    std::optional<std::uint32_t> uid;       ///< of a Unix socket's peer
    bool lingers = false;                   ///< close() leaves the socket to its other owner
  };
  explicit Connection(Setup setup);
  ~Connection() override;

  /// Before anything else, on a TLS connection. Errors: as Tls::handshake.
  runtime::Task<void> handshake(Deadline end);

  runtime::Task<Frame> receive(std::chrono::nanoseconds deadline) override;
  runtime::Task<void> send(Frame frame, std::chrono::nanoseconds deadline) override;
  void close() override;
  const std::optional<identity::CertificateFacts>& peer() const override;
  std::string peer_address() const override { return setup_.address; }
  std::optional<std::uint32_t> peer_uid() const override { return setup_.uid; }
  std::uint64_t bytes_sent() const override { return setup_.socket->bytes_sent(); }
  std::uint64_t bytes_received() const override { return setup_.socket->bytes_received(); }

 private:
  runtime::Task<Frame> receive_frame(Deadline end);
  runtime::Task<void> read_header(Deadline end);
  runtime::Task<Bytes> read_payload(std::size_t size, Deadline end);
  runtime::Task<std::size_t> read_some(MutableByteSpan out, Deadline end);
  runtime::Task<void> send_all(ByteSpan bytes, Deadline end);
  runtime::Task<void> send_frame(const Frame& frame, Deadline end);
  Status write(ByteSpan bytes);
  boost::asio::awaitable<Error> late_refusal(Error error);
  Error over(Error error);
  Error named(Error error) const;

  Setup setup_;
  std::unique_ptr<Tls> tls_;
  std::size_t max_payload_ = kMaxBlobFrameBytes;
  std::array<std::uint8_t, kFrameHeaderBytes> header_{};
  std::size_t header_read_ = 0;
  bool receiving_ = false, sending_ = false, closed_ = false;
  std::optional<Error> refusal_;  ///< the peer's; whoever of reader and writer has met it, both are told
  runtime::Condition closing_;    ///< notified by close()
};

}  // namespace holdfast::transport
