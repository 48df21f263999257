#include "client/backup/session_check.h"

#include <charconv>
#include <chrono>

namespace holdfast::backup {
namespace {

/// How long the plan agreed at enrolment keeps every snapshot (STORE.md, plans). One that we do not know promises nothing.
std::int64_t promised_ns(std::string_view plan) {
  using std::chrono::days;
  const auto ns = [](days d) { return std::chrono::nanoseconds(d).count(); };
  if (plan == "30d-max") return ns(days(17));
  if (plan == "2y-max") return ns(days(678));
  int n = 0;
  const char* const end = plan.data() + plan.size();
  const auto [rest, failed] = std::from_chars(plan.data(), end, n);
  if (failed != std::errc{} || rest + 1 != end || n < 1) return 0;
  if (*rest == 'd' && n <= 3650) return ns(days(n));
  if (*rest == 'y' && n <= 100) return ns(days(365 * n + (n + 3) / 4));  // N years hold at most ⌈N / 4⌉ leap days
  return 0;
}

/// Both numbers are the server's: their sum may not exist.
bool keeps(const snapshot::Receipt& receipt, std::int64_t promised) {
  std::int64_t earliest = 0;
  return !__builtin_add_overflow(receipt.server_ns, promised, &earliest) && receipt.lock_not_before_ns >= earliest;
}

Error rolled_back(std::string_view what) {
  return {Errc::Rollback,
          "the server is older than our last receipt: " + std::string(what) +
              "; nothing was sent. It was restored from an old copy, or it is lying: tell its operator"};
}

}  // namespace

Status check_server(const remote::Opened& opened, const keyring::Keyring& keyring, fs::FileSystem& fs,
                    const std::string& state_dir) {
  const Result<Bytes> bytes = fs::read_file(fs, fs::join(state_dir, "receipt"), snapshot::kMaxReceiptBytes);
  if (!bytes) {
    if (bytes.error().code == Errc::NotFound) return {};
    return bytes.error();
  }
  const Result<snapshot::Receipt> last = snapshot::decode_receipt(*bytes, keyring.receipt_key);
  // A receipt of another enrolment or a damaged file proves nothing about this server.
  if (!last || last->client != keyring.client) return {};
  if (opened.head_number < last->journal_number) {
    return rolled_back("its journal ends at record " + std::to_string(opened.head_number) +
                       ", the receipt is for record " + std::to_string(last->journal_number));
  }
  if (opened.head_number == last->journal_number && opened.head_digest != last->journal_digest) {
    return rolled_back("record " + std::to_string(opened.head_number) + " of its journal is another one");
  }
  if (opened.next_sequence <= last->sequence) {
    return rolled_back("its newest snapshot is " + std::to_string(opened.next_sequence - 1) + ", the receipt is for " +
                       std::to_string(last->sequence));
  }
  if (opened.next_sequence == last->sequence + 1 && opened.previous != last->snapshot) {
    return rolled_back("snapshot " + std::to_string(last->sequence) + " is another one");
  }
  return {};
}

Result<snapshot::Receipt> check_receipt(ByteSpan bytes, const keyring::Keyring& keyring, const snapshot::Core& core,
                                        ByteSpan signed_core, const remote::Opened& opened) {
  Result<snapshot::Receipt> decoded =
      snapshot::decode_receipt(bytes, keyring.receipt_key).context("check the server's receipt");
  if (!decoded && decoded.error().code == Errc::Limit) return Error{Errc::Corrupt, std::move(decoded).error().message};
  HF_TRY(snapshot::Receipt receipt, std::move(decoded));
  const bool ours = receipt.tenant == core.tenant && receipt.client == core.client &&
                    receipt.sequence == core.sequence && receipt.snapshot == snapshot::snapshot_id(signed_core) &&
                    receipt.journal_number > opened.head_number;
  if (!ours)
    return Error{Errc::Protocol, "check the server's receipt: it is for something else than what was committed"};
  // The vault clock may lag behind the wall clock, never run ahead: the date counts from the server's own time.
  if (!keeps(receipt, promised_ns(keyring.plan))) {
    return Error{Errc::Protocol, "check the server's receipt: it keeps the snapshot until " +
                                     rfc3339(from_ns(receipt.lock_not_before_ns)) + ", shorter than the plan " +
                                     keyring.plan + " agreed at enrolment: tell the server's operator"};
  }
  return receipt;
}

}  // namespace holdfast::backup
