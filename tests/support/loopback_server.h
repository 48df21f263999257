#pragma once
// The service as holdfastd runs it, over real TLS on loopback, with its data on a disk in memory: it can be killed and
// started again.

#include <future>
#include <thread>

#include "common/crypto/hash.h"
#include "server/session/enrolment.h"
#include "server/session/session.h"
#include "server/session/tokens.h"
#include "tests/support/enrolled_client.h"
#include "tests/support/mem_fs.h"

namespace holdfast::test {

template <class T>
T demand(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}
inline void demand(Status status) {
  if (!status) throw std::runtime_error(status.error().message);
}

class LoopbackServer {
 public:
  LoopbackServer() : receipt_key_(crypto::SigningKey::generate(system_random())) {
    demand(disk_.make_directory("/srv", 0700));
    demand(disk_.sync_directory("/"));
    start();
    (void)demand(up_->tenants->create("acme", "30d", 0));
  }
  ~LoopbackServer() { stop(); }

  std::string address() const { return address_; }

  void start() {
    up_ = std::make_unique<Up>(*this);
    transport::ServerOptions options;
    options.listen = address_;
    options.certificate = server_certificate_;
    options.ca_pem = ca_.certificate_pem;
    options.alpn = "holdfast/1";
    options.denied = [this](const identity::CertificateFacts& facts) { return up_->access.denied(facts); };
    up_->listener =
        demand(transport::listen(up_->loop, std::move(options), [this](std::unique_ptr<transport::FrameStream> stream) {
          return session::serve(up_->context, std::move(stream));
        }));
    address_ = up_->listener->address();
    up_->thread = std::thread([this] { up_->loop.run(); });
  }
  /// As after kill -9: connections break, what was not synced is lost.
  void kill() {
    stop();
    disk_.reboot(support::CrashMode::DropUnsynced);
  }

  /// Makes `client` one of this server's.
  void enrol(EnrolledClient& client) {
    Random& random = system_random();
    const std::shared_ptr<tenant::Tenant> tenant = demand(up_->tenants->find("acme"));
    const Bytes secret = session::new_token_secret(random);
    const std::string name = "shop";
    (void)demand(
        tenant->invite(name, session::token_digest(secret), to_ns(system_clock().wall() + std::chrono::hours(1))));
    keyring::Keyring& ring = client.ring;
    ring.tenant = tenant->id();
    ring.client = demand(tenant->client_by_name(name)).id;
    ring.receipt_key = receipt_key_.public_key();
    ring.recipients.clear();
    for (const PublicKey& key : {client.kit.recovery.public_key(), ring.read->public_key()}) {
      ring.recipients.push_back(
          {key, keyring::wrap_secret(client.kit.tenant_secret, ring.client, crypto::recipient_of(key)), "key"});
    }
    snapshot::ClientCertificate certificate;
    certificate.tenant = ring.tenant;
    certificate.client = ring.client;
    certificate.signing_key = ring.signing->public_key();
    certificate.domain = ring.domain;
    certificate.root = ring.root;
    ring.certificate = snapshot::encode_signed(certificate, client.kit.root);
    ring.name = {identity::Role::Client, "acme", name};
    ring.ca_pem = ca_.certificate_pem;
    ring.tls.key_pem = demand(identity::make_key_pem());
    session::v1::EnrolRequest request;
    request.set_token_secret(std::string(as_text(secret)));
    request.set_name(ring.name.uri());
    request.mutable_complete()->set_request_pem(demand(identity::make_request_pem(ring.tls.key_pem, ring.name)));
    request.mutable_complete()->set_client_certificate(std::string(as_text(ring.certificate)));
    const session::Issuer issuer{ca_, receipt_key_.public_key()};
    ring.tls.certificate_pem =
        demand(session::enrol(*up_->tenants, up_->operators, issuer, system_clock(), request)).certificate_pem();
  }

  Result<std::unique_ptr<remote::Remote>> connect(const EnrolledClient& client, const std::string& address,
                                                  remote::Patience patience) const {
    transport::ClientOptions options;
    options.address = address;
    options.certificate = client.ring.tls;
    options.ca_pem = ca_.certificate_pem;
    options.alpn = "holdfast/1";
    return remote::Remote::connect(std::move(options), std::move(patience));
  }
  std::size_t snapshots() {
    const std::shared_ptr<tenant::Tenant> tenant = demand(up_->tenants->find("acme"));
    return tenant->account().snapshots;
  }

 private:
  struct Up {
    explicit Up(LoopbackServer& server)
        : tenants(demand(session::Tenants::open(
              {server.disk_, system_clock(), system_random(), server.shared_, server.receipt_key_, 0}, "/srv", 8))),
          operators(server.disk_, system_clock(), system_random(), "/srv/operators"),
          denied(server.disk_, system_clock(), "/srv/denied"),
          access(*tenants, operators, denied) {}
    std::unique_ptr<session::Tenants> tenants;
    session::Operators operators;
    session::DenyList denied;
    session::Access access;
    runtime::Loop loop;
    runtime::Pool disk{4, "disk"};
    session::Sessions sessions;
    session::ServiceContext context{
        loop, disk, sessions, {*tenants, access, system_clock(), "holdfastd test"}, system_random(), {}};
    std::unique_ptr<transport::Listener> listener;
    std::thread thread;
  };
  void stop() {
    if (!up_) return;
    up_->loop.post([this] {
      up_->listener->close();
      up_->listener->close_connections();
      up_->loop.spawn(up_->listener->drained(std::chrono::seconds(20)), [this](Status) { up_->loop.stop(); });
    });
    up_->thread.join();
    up_.reset();
  }

  support::MemFs disk_;
  crypto::SigningKey receipt_key_;
  const identity::KeyAndCertificate ca_ = demand(identity::make_ca(system_clock(), "test CA"));
  const identity::KeyAndCertificate server_certificate_ = certified();
  std::shared_ptr<index::Shared> shared_ = index::make_shared_resources(8u << 20, 8u << 20);
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<Up> up_;

  identity::KeyAndCertificate certified() const {
    const identity::Name name{identity::Role::Server, "", "vault"};
    identity::KeyAndCertificate out;
    out.key_pem = demand(identity::make_key_pem());
    out.certificate_pem = demand(identity::certify(ca_, demand(identity::make_request_pem(out.key_pem, name)), name,
                                                   system_clock(), std::chrono::hours(24)));
    return out;
  }
};

}  // namespace holdfast::test
