#pragma once
// What the rows of a lying server share: two machines' snapshots, the commands, and what may lie in a target.

#include <gtest/gtest.h>

#include "client/restore/plan_directory.h"
#include "common/console/exit_code.h"
#include "tests/support/enrolled_client.h"
#include "tests/support/evil_remote.h"

namespace holdfast::test::evil {

namespace fs = std::filesystem;

/// Two snapshots of one client, and one of a second machine of the same tenant.
class World {
 public:
  World() {
    second.ring.tenant = first.ring.tenant;
    second.ring.root = first.ring.root;
    snapshot::ClientCertificate certificate;
    certificate.tenant = second.ring.tenant;
    certificate.client = second.ring.client;
    certificate.signing_key = second.ring.signing->public_key();
    certificate.domain = second.ring.domain;
    certificate.root = first.ring.root;
    second.ring.certificate = snapshot::encode_signed(certificate, first.kit.root);
    second.remote.emplace(second.ring.tenant, second.ring.client, second.receipt_key);
    second.remote->certificate = second.ring.certificate;

    first.write("first/name", "one of two names");
    fs::create_hard_link(first.root + "/data/first/name", first.root + "/data/first/other");
    first.write("small", "one");
    first.write("large", noise(1'500'000));
    for (int i = 0; i < 400; ++i) first.write("many/" + std::string(60, 'n') + std::to_string(i), std::to_string(i));
    HF_ASSERT(first.back_up().has_value());
    first.write("large", noise(1'500'000));
    first.write("small", "two");
    HF_ASSERT(first.back_up().has_value());
    second.write("small", "another machine's");
    HF_ASSERT(second.back_up().has_value());
  }
  const remote::SnapshotRow& row(std::size_t i) const { return first.remote->rows[i]; }
  snapshot::Core core(std::size_t i) const { return snapshot::decode_core(row(i).core)->core; }
  const Bytes& record(const blob::BlobRef& ref) const { return first.remote->records.at(ref); }
  /// A record of this kind that is not `other`; there are several of each.
  blob::BlobRef any(blob::Type type, const blob::BlobRef& other = {}) const {
    for (const auto& [ref, bytes] : first.remote->records) {
      if (ref != other && blob::decode_record(bytes)->header.type == type) return ref;
    }
    HF_ASSERT(false);
    return {};
  }
  /// A data blob that the newest snapshot alone refers to.
  blob::BlobRef newest_data() const {
    for (const auto& [ref, bytes] : first.remote->records) {
      if (ref.run == core(1).run && blob::decode_record(bytes)->header.type == blob::Type::Data) return ref;
    }
    HF_ASSERT(false);
    return {};
  }
  Bytes signed_by_another(const snapshot::Core& made) const {
    return snapshot::encode_signed(made, crypto::SigningKey::generate(system_random()));
  }
  /// Everything anew under a root of the server's own: as good as a keyless server can do it.
  remote::SnapshotRow under_own_root(snapshot::Core made) const {
    const auto root = crypto::SigningKey::generate(system_random()),
               key = crypto::SigningKey::generate(system_random());
    snapshot::ClientCertificate certificate;
    certificate.tenant = made.tenant;
    certificate.client = made.client;
    certificate.domain = made.domain;
    certificate.signing_key = key.public_key();
    certificate.root = root.public_key();
    made.certificate = snapshot::encode_signed(certificate, root);
    remote::SnapshotRow out = row(1);
    out.core = snapshot::encode_signed(made, key);
    return out;
  }

  EnrolledClient first, second;
};

inline World& world() {
  static World one;
  return one;
}

/// How one command ended, as the program would say it.
struct Outcome {
  int code = 0;
  std::string message;
  std::uint64_t failed = 0;
  bool is_cut_short = false;  ///< an error ended the whole of it
  bool is_resumed = false;
};

inline Outcome of(const Error& error) { return {console::exit_code(error.code), error.message, 0, true, false}; }

inline Outcome of(const restore::RestoreReport& report) {
  if (report.failed == 0) return {console::kDone, "", 0, false, report.resumed};
  const int code = console::graver(console::kFailed, console::exit_code(*report.gravest));
  return {code, "", report.failed, false, report.resumed};
}

inline Outcome restore_through(EvilRemote& server, const std::string& target) {
  restore::Archive archive(server, {}, *restore::own_key(world().first.ring));
  const Result<restore::SnapshotInfo> info = archive.find("latest", "");
  if (!info) return of(info.error());
  restore::RestoreOptions options;
  options.target.target = target;
  options.target.set_owner = ::geteuid() == 0;
  const Result<restore::RestoreReport> done = restore::run_restore(archive, *info, options);
  return done ? of(*done) : of(done.error());
}

inline Outcome verify_through(EvilRemote& server) {
  restore::Archive archive(server, {}, *restore::own_key(world().first.ring));
  const Result<restore::SnapshotInfo> info = archive.find("2", "");
  if (!info) return of(info.error());
  restore::VerifyOptions options;
  options.read_data = true;
  const Result<restore::RestoreReport> done = restore::run_verify(archive, *info, options);
  return done ? of(*done) : of(done.error());
}

/// The restore's own: its plan, and files that have no name of theirs yet.
inline bool is_own(const fs::path& path) {
  const std::string name = path.filename();
  return name.starts_with(restore::kTemporaryPrefix) || name == restore::kPlanDirectory;
}

inline std::vector<std::string> own_files(const std::string& target) {
  std::vector<std::string> own;
  if (!fs::exists(target)) return own;
  for (const auto& one : fs::recursive_directory_iterator(target))
    if (is_own(one.path())) own.push_back(one.path());
  return own;
}

/// Files below `target` whose bytes are not those that were backed up.
inline std::vector<std::string> wrong_files(const std::string& target) {
  std::vector<std::string> wrong;
  if (!fs::exists(target)) return wrong;
  for (auto one = fs::recursive_directory_iterator(target); one != fs::recursive_directory_iterator(); ++one) {
    const std::string path = one->path();
    if (is_own(one->path())) one.disable_recursion_pending();
    if (is_own(one->path()) || !one->is_regular_file()) continue;
    if (EnrolledClient::text_of(path) != EnrolledClient::text_of(path.substr(target.size()))) wrong.push_back(path);
  }
  return wrong;
}

inline std::size_t files_in(const std::string& directory) {
  std::size_t count = 0;
  if (!fs::exists(directory)) return 0;
  for (const auto& one : fs::recursive_directory_iterator(directory)) count += one.is_regular_file();
  return count;
}

struct Behaviour {
  std::string name;
  std::function<void(EvilRemote&)> lie;
  int code = console::kDamaged;
  bool others_restored = false;  ///< only some files need what it spoiled: the others come back
};

}  // namespace holdfast::test::evil
