#include "tests/support/frame_pair.h"

#include "common/runtime/queue.h"

namespace holdfast::support {
namespace {

using transport::Frame;

/// What flows one way.
struct Direction {
  Direction(std::size_t capacity, std::uint64_t cut) : queue(capacity), left(cut) {}
  runtime::Queue<Frame> queue;
  std::uint64_t left;  ///< bytes before the cut
  std::uint64_t bytes = 0;
};

struct Link {
  explicit Link(const FramePairOptions& o)
      : to_server(o.capacity, o.cut_to_server), to_client(o.capacity, o.cut_to_client) {}
  Direction to_server, to_client;
  bool cut = false;

  void end() {
    to_server.queue.close();
    to_client.queue.close();
  }
};

Error broken() { return {Errc::Unreachable, "the connection broke"}; }

class End final : public transport::FrameStream {
 public:
  End(std::shared_ptr<Link> link, bool is_client, std::optional<identity::CertificateFacts> peer)
      : link_(std::move(link)), is_client_(is_client), peer_(std::move(peer)) {}
  ~End() override { close(); }

  runtime::Task<Frame> receive(std::chrono::nanoseconds deadline) override {
    if (closed_) co_return Error{Errc::Canceled, "the connection was closed on this side"};
    const std::shared_ptr<Link> link = link_;
    Result<std::optional<Frame>> frame = co_await in().queue.pop_within(deadline);
    if (closed_) co_return Error{Errc::Canceled, "the connection was closed on this side"};
    if (!frame) co_return frame.error();
    if (!*frame) co_return broken();
    co_return std::move(**frame);
  }

  runtime::Task<void> send(Frame frame, std::chrono::nanoseconds deadline) override {
    if (closed_) co_return Error{Errc::Canceled, "the connection was closed on this side"};
    if (link_->cut || out().queue.closed()) co_return broken();
    const std::shared_ptr<Link> link = link_;
    const std::size_t limit =
        frame.type == transport::FrameType::Blob ? transport::kMaxBlobFrameBytes : transport::kMaxControlBytes;
    if (frame.payload.size() > limit) co_return Error{Errc::Limit, "a frame that is longer than the protocol allows"};
    const std::uint64_t bytes = transport::kFrameHeaderBytes + frame.payload.size();
    if (bytes > out().left) {
      link->cut = true;
      link->end();
      co_return Status{};  // the kernel had taken it
    }
    const Status pushed = co_await out().queue.push_within(std::move(frame), deadline);
    if (!pushed) {
      if (closed_) co_return Error{Errc::Canceled, "the connection was closed on this side"};
      if (pushed.error().code == Errc::Timeout) co_return pushed.error();
      co_return broken();
    }
    out().left -= bytes;
    out().bytes += bytes;
    co_return Status{};
  }

  void close() override {
    closed_ = true;
    link_->end();
  }
  const std::optional<identity::CertificateFacts>& peer() const override { return peer_; }
  std::string peer_address() const override { return is_client_ ? "server.test:1" : "client.test:1"; }
  std::uint64_t bytes_sent() const override { return (is_client_ ? link_->to_server : link_->to_client).bytes; }
  std::uint64_t bytes_received() const override { return (is_client_ ? link_->to_client : link_->to_server).bytes; }

 private:
  Direction& in() { return is_client_ ? link_->to_client : link_->to_server; }
  Direction& out() { return is_client_ ? link_->to_server : link_->to_client; }

  std::shared_ptr<Link> link_;  // shared by both ends
  const bool is_client_;
  std::optional<identity::CertificateFacts> peer_;
  bool closed_ = false;
};

}  // namespace

FramePair make_frame_pair(FramePairOptions options) {
  const auto link = std::make_shared<Link>(options);
  FramePair pair;
  pair.client = std::make_unique<End>(link, true, options.server_name);
  pair.server = std::make_unique<End>(link, false, options.client_name);
  return pair;
}

identity::CertificateFacts facts_of(identity::Name name) {
  identity::CertificateFacts facts;
  facts.name = std::move(name);
  facts.not_before = from_ns(0);
  facts.not_after = WallTime::max();
  facts.serial_hex = "01";
  facts.fingerprint.bytes[0] = 1;
  return facts;
}

}  // namespace holdfast::support
