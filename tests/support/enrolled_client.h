#pragma once
// A client as enrolment leaves it, with its server in memory and a directory of real files to back up.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "client/backup/backup.h"
#include "client/restore/restore.h"
#include "common/fs/file_system.h"
#include "tests/support/fake_remote.h"

namespace holdfast::test {

class EnrolledClient {
 public:
  EnrolledClient()
      : kit(keyring::make_kit(system_random())), receipt_key(crypto::SigningKey::generate(system_random())) {
    root = (std::filesystem::temp_directory_path() / "holdfast-test.XXXXXX").string();
    HF_ASSERT(::mkdtemp(root.data()) != nullptr);
    std::filesystem::create_directories(root + "/state");
    std::filesystem::create_directories(root + "/data");
    Random& random = system_random();
    ring.name = {identity::Role::Client, "acme", "shop"};
    ring.tenant = random.id<TenantId>();
    ring.client = random.id<ClientId>();
    ring.domain = random.id<DomainId>();
    ring.domain_epoch = 1;
    ring.plan = "30d";
    ring.root = kit.root.public_key();
    ring.receipt_key = receipt_key.public_key();
    ring.signing = crypto::SigningKey::generate(random);
    ring.domain_key = crypto::Key::random(random);
    ring.read = crypto::WrapKeyPair::generate(random);
    for (const PublicKey& key : {kit.recovery.public_key(), ring.read->public_key()}) {
      ring.recipients.push_back(
          {key, keyring::wrap_secret(kit.tenant_secret, ring.client, crypto::recipient_of(key)), "key"});
    }
    snapshot::ClientCertificate certificate;
    certificate.tenant = ring.tenant;
    certificate.client = ring.client;
    certificate.signing_key = ring.signing->public_key();
    certificate.domain = ring.domain;
    certificate.root = ring.root;
    ring.certificate = snapshot::encode_signed(certificate, kit.root);
    remote.emplace(ring.tenant, ring.client, receipt_key);
    remote->certificate = ring.certificate;
  }
  ~EnrolledClient() { std::filesystem::remove_all(root); }

  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = root + "/data/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  /// Makes every file older than the clock's grain, so that its identity is remembered.
  void age() const {
    for (const auto& one : std::filesystem::recursive_directory_iterator(root + "/data")) {
      if (one.is_regular_file() && !one.is_symlink()) {
        std::filesystem::last_write_time(one.path(),
                                         std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
      }
    }
  }

  backup::BackupOptions options() {
    backup::BackupOptions made;
    made.files.roots = {root + "/data"};
    made.state_dir = root + "/state";
    made.on_problem = [this](const sources::Problem& problem) { problems.push_back(problem.path); };
    return made;
  }
  Result<backup::BackupReport> back_up() { return back_up(options()); }
  Result<backup::BackupReport> back_up(const backup::BackupOptions& options) {
    return backup::run_backup(*remote, ring, fs::real(), *clock, system_random(), options);
  }
  Result<restore::RestoreReport> restore_to(const std::string& target, std::vector<std::string> paths = {}) {
    HF_TRY(restore::OpeningKey key, restore::own_key(ring));
    restore::Archive archive(*remote, {}, std::move(key));
    HF_TRY(const restore::SnapshotInfo info, archive.find("latest", ""));
    restore::RestoreOptions made;
    made.paths = std::move(paths);
    made.target.target = target;
    made.target.set_owner = ::geteuid() == 0;
    made.on_failure = [this](const std::string& path, const Error&) { failures.push_back(path); };
    return restore::run_restore(archive, info, made);
  }
  static std::string text_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string root;
  keyring::Kit kit;
  crypto::SigningKey receipt_key;
  keyring::Keyring ring;
  std::optional<FakeRemote> remote;
  const Clock* clock = &system_clock();
  std::vector<std::string> problems, failures;
};

/// Text that does not compress to nothing.
inline std::string noise(std::size_t bytes) {
  std::string out(bytes, '\0');
  system_random().fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
  return out;
}

}  // namespace holdfast::test
