#include "client/backup/run_key.h"

#include <algorithm>

namespace holdfast::backup {

Result<RunSecrets> begin_run(const keyring::Keyring& keyring, const Clock& clock, Random& random) {
  if (keyring.recipients.empty()) {
    return Error{Errc::Config,
                 "begin a run: the keyring names no recipient, so nobody could open this backup; enrol again"};
  }
  RunSecrets secrets{random.id<RunId>(), crypto::Key::random(random), {}, {}};
  snapshot::RunRecord record;
  record.tenant = keyring.tenant;
  record.domain = keyring.domain;
  record.epoch = keyring.domain_epoch;
  record.client = keyring.client;
  record.run = secrets.run;
  record.commitment = snapshot::commit_to(secrets.key, secrets.run);
  record.time_ns = to_ns(clock.wall());
  std::vector<snapshot::WrapTarget> targets;
  for (const keyring::Recipient& one : keyring.recipients) {
    record.recipients.push_back(crypto::recipient_of(one.key));
    targets.push_back({one.key, &one.wrap_secret});
  }
  std::sort(record.recipients.begin(), record.recipients.end());
  secrets.run_record = snapshot::encode_signed(record, *keyring.signing);
  HF_TRY(const snapshot::KeySlot slot,
         snapshot::wrap_run_key(secrets.key, record, secrets.run_record, targets, random));
  secrets.slot = snapshot::encode(slot);
  return secrets;
}

}  // namespace holdfast::backup
