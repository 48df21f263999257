// What a client or a stranger may send a server, behind TLS and frames: requests, blobs, enrolment requests, in any order.
// Input: items of u8 kind ‖ u16 length ‖ bytes. The tenant is a double that believes everything: what is fuzzed is the
// layer that parses, bounds and checks.

#include <cstdlib>

#include "server/session/enrolment.h"
#include "server/session/requests.h"
#include "server/session/small_file.h"
#include "tests/support/temporary_directory.h"

namespace {

using namespace holdfast;

class CredulousTenant final : public tenant::Tenant {
 public:
  tenant::Account account() override { return {}; }
  const TenantId& id() const override { return id_; }
  Status confirm_gap(std::int64_t, std::optional<std::int64_t>) override { return {}; }
  Result<journal::ClientPayload> invite(const std::string&, const Digest&, std::int64_t) override {
    return journal::ClientPayload{};
  }
  std::optional<Error> damage() const override { return std::nullopt; }
  Result<journal::ClientPayload> client_by_name(const std::string& name) override {
    journal::ClientPayload payload;
    payload.name = name;
    payload.state = journal::ClientPayload::State::Enrolled;
    return payload;
  }
  std::vector<journal::ClientPayload> clients() override { return {}; }
  Result<journal::ClientPayload> enrol(const std::string&, const Digest&, const Digest&, ByteSpan,
                                       const std::function<Result<std::string>()>&) override {
    return journal::ClientPayload{};
  }
  Status revoke(const std::string&) override { return {}; }
  std::optional<PublicKey> pinned_root() override { return std::nullopt; }
  Result<tenant::SessionOpened> open_session(const ClientId&, ByteSpan, ByteSpan, const SnapshotId&,
                                             const std::optional<SessionId>&) override {
    return tenant::SessionOpened{};
  }
  Result<std::vector<tenant::HaveAnswer>> have(const ClientId&, const SessionId&, std::uint32_t,
                                               const std::vector<BlobId>& blobs) override {
    std::vector<tenant::HaveAnswer> all;
    for (std::size_t i = 0; i < blobs.size(); ++i) all.push_back({i, {}, {}});
    return all;
  }
  Result<std::vector<std::uint64_t>> put(const ClientId&, const SessionId&, std::uint64_t tag,
                                         ByteSpan record) override {
    if (record.size() % 2 == 0) return std::vector<std::uint64_t>{};
    return std::vector<std::uint64_t>{tag, tag, tag + 1};
  }
  Result<std::vector<std::uint64_t>> flush(const ClientId&, const SessionId&) override {
    return std::vector<std::uint64_t>{1, 2, 3};
  }
  Status abandon(const ClientId&, const SessionId&) override { return {}; }
  Result<Bytes> commit(const ClientId&, const SessionId&, ByteSpan core, tenant::Refused* refused) override {
    refused->missing.resize(core.size() % 3);
    if (!refused->missing.empty()) return Error{Errc::Missing, "missing"};
    return Bytes(100);
  }
  Result<std::vector<tenant::SnapshotRow>> snapshots(const std::optional<ClientId>&, std::uint64_t after,
                                                     std::size_t limit, tenant::Viewer) override {
    std::vector<tenant::SnapshotRow> rows;
    for (std::uint64_t sequence = after; rows.size() < limit && sequence < 100; ++sequence) {
      rows.emplace_back();
      rows.back().sequence = sequence + 1;
    }
    return rows;
  }
  Result<std::vector<tenant::SnapshotRow>> snapshots_before(const ClientId&, std::uint64_t before, std::size_t limit,
                                                            tenant::Viewer) override {
    std::vector<tenant::SnapshotRow> rows;
    for (std::uint64_t sequence = std::min<std::uint64_t>(before, 100); rows.size() < limit && sequence > 1;) {
      rows.emplace_back();
      rows.back().sequence = --sequence;
    }
    return rows;
  }
  Result<tenant::RunRow> run(const ClientId&, const RunId&) override { return tenant::RunRow{}; }
  std::vector<std::size_t> read_order(
      const ClientId&, const std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>>& refs) override {
    std::vector<std::size_t> order(refs.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = order.size() - 1 - i;
    return order;
  }
  Result<Bytes> read_blob(const ClientId&, const DomainId&, std::uint32_t epoch, const blob::BlobRef&) override {
    if (epoch % 2 == 0) return Error{Errc::NotFound, "no"};
    return Bytes(epoch % 1000);
  }
  tenant::Parts& parts() override { std::abort(); }  // no request asks for it
  Status compare_directory() override { return {}; }
  Result<std::uint64_t> expire_idle_sessions() override { return std::uint64_t{0}; }
  Result<tenant::StraySlots> remove_stray_slots() override { return tenant::StraySlots{}; }
  Result<tenant::PurgeReport> purge(bool) override { return tenant::PurgeReport{}; }
  Result<tenant::SnapshotStory> lock_snapshot(const SnapshotId&, const std::string&) override {
    return tenant::SnapshotStory{};
  }
  Result<tenant::SnapshotStory> undelete_snapshot(const SnapshotId&, const std::string&) override {
    return tenant::SnapshotStory{};
  }
  Result<tenant::SnapshotStory> explain_snapshot(const SnapshotId&) override { return tenant::SnapshotStory{}; }
  std::vector<tenant::SnapshotName> snapshots_named(const std::string&, std::uint64_t) override { return {}; }
  std::vector<tenant::SnapshotName> snapshots_beginning(const std::string&) override { return {}; }
  Status set_source(const std::string&, const SourceId&, journal::SourcePayload::State, const std::string&) override {
    return {};
  }
  Status retire_client(const std::string&) override { return {}; }
  Result<std::vector<tenant::SourceStory>> sources(const std::string&) override {
    return std::vector<tenant::SourceStory>{};
  }
  Result<tenant::CheckSummary> check(bool, const std::function<void(const tenant::Finding&)>&) override {
    return tenant::CheckSummary{};
  }
  Result<Rebuilt> rebuild_index() override { return Rebuilt{}; }
  Result<Digest> index_digest() override { return Digest{}; }

 private:
  TenantId id_;
};

/// A server without tenants, in an empty directory; made once.
struct Server {
  Server()
      : receipt(crypto::Key{}),
        ca(*identity::make_ca(system_clock(), "fuzz")),
        tenants(*session::Tenants::open({fs::real(), system_clock(), system_random(), nullptr, receipt},
                                        directory.path(), 1)),
        operators(fs::real(), system_clock(), system_random(), directory / "operators"),
        denied(fs::real(), system_clock(), directory / "denied"),
        access(*tenants, operators, denied),
        context{*tenants, access, system_clock(), "fuzz"} {}
  support::TemporaryDirectory directory;
  crypto::SigningKey receipt;
  identity::KeyAndCertificate ca;
  std::unique_ptr<session::Tenants> tenants;
  session::Operators operators;
  session::DenyList denied;
  session::Access access;
  session::RequestContext context;
};

Server& server() {
  static Server made;
  return made;
}

void request(session::Requests& requests, ByteSpan bytes) {
  const auto parsed = session::parse_request(bytes);
  if (!parsed) return;
  if (parsed->call_case() == session::v1::Request::kFetch) {
    auto fetching = requests.start_fetch(*parsed);
    while (fetching && !fetching->done()) {
      const auto read = requests.read_on(*fetching);
      HF_ASSERT(read && !read->empty());
    }
    return;
  }
  const auto answer = requests.answer(*parsed);
  if (answer) HF_ASSERT(answer->ByteSizeLong() <= transport::kMaxControlBytes);
  (void)requests.take_acks();
  HF_ASSERT(requests.take_missing().size() <= 1000);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  session::Caller caller;
  caller.facts.name = {identity::Role::Client, "acme", "shop"};
  caller.tenant = std::make_shared<CredulousTenant>();
  session::Caller person;
  person.facts.name = {identity::Role::Operator, "", "olga"};
  person.role = session::Role::Operator;
  session::Requests as_client(server().context, caller), as_operator(server().context, person);
  const session::Issuer issuer{server().ca, server().receipt.public_key()};
  ByteReader in({data, size});
  std::uint64_t number = 0;
  while (in.ok() && in.left() > 0) {
    const std::uint8_t kind = in.u8();
    const std::size_t length = std::min<std::size_t>(in.u16(), in.left());
    const ByteSpan item = in.raw(length);
    switch (kind % 5) {
      case 0:
        request(as_client, item);
        break;
      case 1:
        request(as_operator, item);
        break;
      case 2:
        (void)as_client.put(number++, to_bytes(item));
        break;
      case 3: {
        session::v1::EnrolRequest enrolling;
        if (enrolling.ParseFromArray(item.data(), static_cast<int>(item.size()))) {
          const auto refused = session::enrol(*server().tenants, server().operators, issuer, system_clock(), enrolling);
          HF_ASSERT(!refused);
        }
        break;
      }
      default:
        (void)session::decode_small_file("HFTN", item);
        break;
    }
  }
  return 0;
}
