#pragma once
// The service behind real TLS on loopback, and a client with a valid certificate that sends whatever bytes it likes.

#include "common/base/clock.h"
#include "tests/common/transport/raw_peer.h"
#include "tests/server/session/service_world.h"

namespace holdfast::session {

/// A member that can dial.
struct Dialer {
  Member member;
  identity::KeyAndCertificate identity;
};

/// Real tenants on a disk in memory, real sessions, real TLS.
class TlsService {
 public:
  explicit TlsService(Deadlines deadlines) {
    world.clock.set_wall(system_clock().wall());  // certificates are held against the machine's clock
    context_.emplace(ServiceContext{loop_.loop(), disk_, sessions_, *world.context, world.random, deadlines});
    transport::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.certificate = transport::testing_pki::certified(world.ca, {identity::Role::Server, "", "vault"});
    options.ca_pem = world.ca.certificate_pem;
    options.alpn = "holdfast/1";
    listener_ = must(transport::listen(loop_.loop(), std::move(options),
                                       [this](auto stream) { return serve(*context_, std::move(stream)); }));
  }
  ~TlsService() {
    loop_.on_loop([this] {
      listener_->close();
      listener_->close_connections();
    });
    EXPECT_TRUE(loop_.wait(listener_->drained(kPatience)));
    loop_.join();
  }
  Dialer enrol(const std::string& tenant, const std::string& name) {
    const identity::Name full = ServiceWorld::name_of(tenant, name);
    const Bytes secret = world.invite(tenant, name);
    const ClientId id = must(must(world.tenants->find(tenant))->client_by_name(name)).id;
    Support& random = world.random;
    Dialer out{{tenant, {name, id, random.id<DomainId>(), 1, crypto::SigningKey::generate(random), {}}, {}}, {}};
    out.member.machine.certificate = world.build(tenant).certify(out.member.machine);
    out.identity.key_pem = must(identity::make_key_pem());
    v1::EnrolRequest request;
    request.set_token_secret(text_of(secret));
    request.set_name(full.uri());
    request.mutable_complete()->set_request_pem(must(identity::make_request_pem(out.identity.key_pem, full)));
    request.mutable_complete()->set_client_certificate(text_of(out.member.machine.certificate));
    out.identity.certificate_pem = must(world.ask_enrolment(request)).certificate_pem();
    out.member.facts = must(identity::inspect(out.identity.certificate_pem));
    return out;
  }
  std::string address() const { return listener_->address(); }
  std::size_t waiting_bytes() {
    std::size_t bytes = 0;
    loop_.on_loop([&] { bytes = sessions_.waiting_bytes(); });
    return bytes;
  }

  ServiceWorld world;

 private:
  using Support = support::SeededRandom;
  Sessions sessions_;
  LoopThread loop_;
  runtime::Pool disk_{4, "disk"};
  std::optional<ServiceContext> context_;
  std::unique_ptr<transport::Listener> listener_;
};

/// Bytes as they go over the wire: a header that may lie, and a payload.
inline Bytes raw_frame(std::uint8_t type, std::uint64_t tag, ByteSpan payload, std::optional<std::uint32_t> length = {},
                       std::string_view magic = "HF", std::uint8_t version = 1) {
  ByteWriter out;
  out.raw(magic).u8(version).u8(type).u32(length.value_or(static_cast<std::uint32_t>(payload.size()))).u64(tag);
  out.raw(payload);
  return out.take();
}
inline Bytes request_frame(std::uint64_t tag, const v1::Request& request) {
  return raw_frame(1, tag, as_bytes(request.SerializeAsString()));
}
inline Bytes record_frame(std::uint64_t tag, ByteSpan record) { return raw_frame(2, tag, record); }

/// Blocking; every read and write ends after 20 s.
class RawClient {
 public:
  RawClient(const std::string& address, const identity::KeyAndCertificate& identity)
      : socket_(transport::testing_pki::dial_raw(address)) {
    transport::testing_pki::RawOptions options;
    options.identity = identity;
    context_ = transport::testing_pki::raw_context(options, false);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_.get());
    const Bytes wire = transport::testing_pki::alpn_wire(options.alpn);
    SSL_set_alpn_protos(ssl_.get(), wire.data(), static_cast<unsigned>(wire.size()));
    connected_ = SSL_connect(ssl_.get()) == 1;
  }

  /// False once the server takes no more.
  bool send(ByteSpan bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      const int n = SSL_write(ssl_.get(), bytes.data() + at,
                              static_cast<int>(std::min<std::size_t>(bytes.size() - at, 1u << 20)));
      if (n <= 0) return false;
      at += static_cast<std::size_t>(n);
    }
    return true;
  }
  bool send(std::uint64_t tag, const v1::Request& request) { return send(request_frame(tag, request)); }

  /// The next frame; nullopt: the connection has ended.
  std::optional<transport::Frame> receive() {
    Bytes head(transport::kFrameHeaderBytes);
    if (!read(head)) return std::nullopt;
    const Result<transport::FrameHeader> header = transport::decode_frame_header(head);
    if (!header) return std::nullopt;
    transport::Frame frame{header->type, header->tag, Bytes(header->payload_bytes)};
    if (!read(frame.payload)) return std::nullopt;
    return frame;
  }
  /// The answer with this tag; what comes before it is kept in `seen`. nullopt: the connection has ended.
  std::optional<v1::Response> answer(std::uint64_t tag) {
    while (const std::optional<transport::Frame> frame = receive()) {
      if (frame->type != transport::FrameType::Control) {
        ++blobs;
        continue;
      }
      v1::Response response;
      if (!response.ParseFromArray(frame->payload.data(), static_cast<int>(frame->payload.size()))) return std::nullopt;
      if (response.has_error()) failures.push_back(static_cast<Errc>(response.error().code()));
      if (frame->tag == tag) return response;
    }
    return std::nullopt;
  }
  std::optional<v1::Response> call(const v1::Request& request) {
    const std::uint64_t tag = next_++;
    return send(tag, request) ? answer(tag) : std::nullopt;
  }
  bool hello() {
    v1::Request request;
    request.mutable_hello()->set_protocol(kProtocol);
    const std::optional<v1::Response> response = call(request);
    return response && response->has_welcome();
  }
  bool is_served() {
    v1::Request request;
    request.mutable_account_status();
    const std::optional<v1::Response> response = call(request);
    return response && response->has_account_report();
  }
  /// Reads until the server closes.
  void read_to_the_end() { (void)answer(~std::uint64_t{0}); }

  std::vector<Errc> failures;  ///< in the order in which they came
  std::size_t blobs = 0;

 private:
  bool read(MutableByteSpan out) {
    for (std::size_t at = 0; at < out.size();) {
      const int n = SSL_read(ssl_.get(), out.data() + at, static_cast<int>(out.size() - at));
      if (n <= 0) return false;
      at += static_cast<std::size_t>(n);
    }
    return true;
  }
  transport::testing_pki::RawSocket socket_;
  transport::testing_pki::ContextPtr context_;
  transport::testing_pki::SslPtr ssl_;
  bool connected_ = false;
  std::uint64_t next_ = std::uint64_t{1} << 40;  ///< far from the tags that a test sends by hand
};

}  // namespace holdfast::session
