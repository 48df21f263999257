#include "common/transport/connection.h"

#include <algorithm>

namespace holdfast::transport {
namespace {

/// Encrypted at a time, while the slice before is on its way to the kernel: two of them are the send buffer's bound.
constexpr std::size_t kSliceBytes = 128u << 10;
/// Memory grows with what has arrived, at most fourfold: a header alone claims no more than this.
constexpr std::size_t kFirstPayloadBytes = 64u << 10;
/// Up to here header and payload share one TLS record; above, a copy would cost more than a record.
constexpr std::size_t kOneRecordBytes = 4u << 10;
/// How long a refusal that is on its way may take when a write has failed already.
constexpr std::chrono::seconds kLateRefusal{2};

/// Says that a coroutine is inside, as long as it is.
class Inside {
 public:
  explicit Inside(bool& flag) : flag_(flag) {
    HF_ASSERT(!flag_);  // one reader and one writer
    flag_ = true;
  }
  ~Inside() { flag_ = false; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  bool& flag_;
};

}  // namespace

Connection::Connection(Setup setup) : setup_(std::move(setup)) {
  if (!setup_.tls) return;
  tls_ = std::make_unique<Tls>(setup_.tls, *setup_.socket, setup_.peer_words);
  if (setup_.tls->server && !setup_.tls->require_peer) max_payload_ = kMaxStrangerBytes;
}

Connection::~Connection() { close(); }

runtime::Task<void> Connection::handshake(Deadline end) { return tls_->handshake(end); }

const std::optional<identity::CertificateFacts>& Connection::peer() const {
  static const std::optional<identity::CertificateFacts> kNobody;
  return tls_ ? tls_->facts() : kNobody;
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  if (tls_) tls_->say_goodbye();
  if (setup_.lingers)
    setup_.socket->shut();
  else
    setup_.socket->close();
  closing_.notify_all();
}

/// Ends the stream, and says why: one who was refused must not hear that the connection broke, or that we have closed it.
Error Connection::over(Error error) {
  if (error.code == Errc::Denied && !refusal_) refusal_ = named(error);
  close();
  return refusal_ ? *refusal_ : named(std::move(error));
}

Error Connection::named(Error error) const {
  if (error.message.find(setup_.peer_words) != std::string::npos) return error;
  return std::move(error).with_context(setup_.peer_words);
}

// ---- receiving ----

runtime::Task<Frame> Connection::receive(std::chrono::nanoseconds deadline) {
  const Inside inside(receiving_);
  Result<Frame> frame = co_await receive_frame(runtime::deadline_in(deadline));
  if (frame) co_return std::move(*frame);
  // Between two frames a deadline breaks nothing: the caller may ask again. Everything else ends the stream.
  if (frame.error().code == Errc::Timeout && header_read_ == 0) co_return named(std::move(frame).error());
  co_return over(std::move(frame).error());
}

runtime::Task<Frame> Connection::receive_frame(Deadline end) {
  HF_CO_TRY_DO(co_await read_header(end));
  HF_CO_TRY(const FrameHeader header, decode_frame_header(header_));
  if (header.payload_bytes > max_payload_) {
    co_return Error{Errc::Limit, "a frame of " + std::to_string(header.payload_bytes) +
                                     " bytes before enrolment, at most " + std::to_string(max_payload_) +
                                     " are allowed"};
  }
  Frame frame;
  frame.type = header.type;
  frame.tag = header.tag;
  HF_CO_TRY(frame.payload, co_await read_payload(header.payload_bytes, end));
  header_read_ = 0;
  co_return frame;
}

runtime::Task<void> Connection::read_header(Deadline end) {
  while (header_read_ < header_.size()) {
    const MutableByteSpan rest = MutableByteSpan(header_).subspan(header_read_);
    HF_CO_TRY(const std::size_t got, co_await read_some(rest, end));
    header_read_ += got;
  }
  co_return Status{};
}

runtime::Task<Bytes> Connection::read_payload(std::size_t size, Deadline end) {
  Bytes payload;
  std::size_t have = 0;
  while (have < size) {
    if (have == payload.size()) payload.resize(std::min(size, std::max(kFirstPayloadBytes, have * 4)));
    const MutableByteSpan rest = MutableByteSpan(payload).subspan(have);
    HF_CO_TRY(const std::size_t got, co_await read_some(rest, end));
    have += got;
  }
  co_return payload;
}

runtime::Task<std::size_t> Connection::read_some(MutableByteSpan out, Deadline end) {
  if (tls_) co_return co_await tls_->read(out, end);
  HF_CO_TRY_DO(co_await setup_.socket->fill(end));
  const ByteSpan in = setup_.socket->available();
  const std::size_t size = std::min(in.size(), out.size());
  std::copy_n(in.begin(), size, out.begin());
  setup_.socket->consume(size);
  co_return size;
}

// ---- sending ----

runtime::Task<void> Connection::send(Frame frame, std::chrono::nanoseconds deadline) {
  const Inside inside(sending_);
  const std::size_t limit = frame.type == FrameType::Blob ? kMaxBlobFrameBytes : kMaxControlBytes;
  if (frame.payload.size() > limit) {
    co_return Error{Errc::Limit,
                    "a frame of " + std::to_string(frame.payload.size()) + " bytes is longer than the protocol allows"};
  }
  Status sent = co_await send_frame(frame, runtime::deadline_in(deadline));
  if (sent) co_return sent;
  Error error = std::move(sent).error();
  if (error.code == Errc::Unreachable) error = co_await late_refusal(std::move(error));
  co_return over(std::move(error));  // a frame may have gone out in part
}

runtime::Task<void> Connection::send_frame(const Frame& frame, Deadline end) {
  Bytes header = encode_frame_header(frame.type, frame.tag, frame.payload.size());
  if (frame.payload.size() <= kOneRecordBytes) {
    header.insert(header.end(), frame.payload.begin(), frame.payload.end());
    HF_CO_TRY_DO(co_await send_all(header, end));
  } else {
    HF_CO_TRY_DO(write(header));
    HF_CO_TRY_DO(co_await send_all(frame.payload, end));
  }
  // Not until the kernel has it all: what is sent before a close must not be lost.
  co_return co_await setup_.socket->drain(0, end);
}

runtime::Task<void> Connection::send_all(ByteSpan bytes, Deadline end) {
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), kSliceBytes);
    HF_CO_TRY_DO(write(bytes.first(size)));
    bytes = bytes.subspan(size);
    setup_.socket->kick();
    HF_CO_TRY_DO(co_await setup_.socket->drain(kSliceBytes * 2, end));
  }
  co_return Status{};
}

Status Connection::write(ByteSpan bytes) {
  if (closed_) return Error{Errc::Canceled, "the connection was closed on this side"};
  if (tls_) return tls_->write(bytes);
  Bytes& out = setup_.socket->outgoing();
  out.insert(out.end(), bytes.begin(), bytes.end());
  return {};
}

/// A write has failed. In TLS 1.3 a server refuses a client's certificate when the client believes itself connected and
/// may be writing already; the reason lies in what has still arrived. A reader that is at work comes upon it, as upon the
/// frames before it; else we look ourselves.
boost::asio::awaitable<Error> Connection::late_refusal(Error error) {
  if (!tls_ || setup_.tls->server || closed_) co_return error;
  const Deadline end = runtime::deadline_in(kLateRefusal);
  if (receiving_) {
    (void)co_await closing_.wait_for(end - std::chrono::steady_clock::now());
    co_return error;
  }
  const Status heard = co_await tls_->peek(end);
  co_return !heard && heard.error().code == Errc::Denied ? heard.error() : error;
}

}  // namespace holdfast::transport
