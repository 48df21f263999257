// The erasable object that wraps a run's key for each recipient (FORMAT.md, section 7).

#include <algorithm>

#include "common/crypto/hash.h"
#include "common/snapshot/codec.h"
#include "common/snapshot/records.h"

namespace holdfast::snapshot {
namespace {

constexpr std::string_view kSlotMagic = "HFSLOT";
constexpr std::uint16_t kSlotVersion = 1;
constexpr std::size_t kWrappedKeyBytes = 32 + 16;  // R and the AEAD's tag
constexpr std::size_t kWrapBytes = RecipientId::kBytes + PublicKey::kBytes + kWrappedKeyBytes;

bool wrap_less(const KeySlot::Wrap& a, const KeySlot::Wrap& b) { return a.recipient < b.recipient; }

bool strictly_ascending(const std::vector<KeySlot::Wrap>& wraps) {
  return std::adjacent_find(wraps.begin(), wraps.end(),
                            [](const auto& a, const auto& b) { return !wrap_less(a, b); }) == wraps.end();
}

Result<KeySlot> decode_slot(ByteSpan bytes) {
  if (bytes.size() > kMaxSlotBytes) return Error{Errc::Limit, std::to_string(bytes.size()) + " bytes are too many"};
  ByteReader in(bytes);
  if (as_text(in.raw(kSlotMagic.size())) != kSlotMagic) return Error{Errc::Corrupt, "not a key slot"};
  const std::uint16_t version = in.u16();
  if (in.ok() && version != kSlotVersion) {
    return Error{Errc::TooNew, "version " + std::to_string(version) + " is not known to this program"};
  }
  KeySlot out;
  out.run = in.id<RunId>();
  out.wraps.resize(codec::read_count(in, kWrapBytes, kMaxRecipients));
  for (KeySlot::Wrap& w : out.wraps) {
    w.recipient = in.id<RecipientId>();
    w.encapsulated = in.id<PublicKey>();
    w.ciphertext = to_bytes(in.raw(kWrappedKeyBytes));
  }
  const std::size_t covered = bytes.size() - in.left();
  const Digest stated = in.id<Digest>();
  HF_TRY_DO(in.finish("fields"));
  if (crypto::digest(bytes.first(covered)) != stated) return Error{Errc::Corrupt, "the checksum differs"};
  if (!strictly_ascending(out.wraps)) return Error{Errc::Corrupt, "recipients out of order"};
  return out;
}

/// client id ‖ recipient id
Bytes psk_id(const RunRecord& record, const RecipientId& recipient) {
  ByteWriter out;
  out.id(record.client).id(recipient);
  return out.take();
}

Result<KeySlot::Wrap> wrap_one(const crypto::Key& run_key, const RunRecord& record, const Digest& record_digest,
                               const WrapTarget& target, Random& random) {
  KeySlot::Wrap out;
  out.recipient = crypto::recipient_of(target.key);
  const Bytes id = psk_id(record, out.recipient);
  const crypto::HpkeContext context{as_bytes(codec::kSlotInfo), record_digest.bytes, target.wrap_secret, id};
  HF_TRY(crypto::Wrapped wrapped, crypto::hpke_seal(target.key, context, run_key.span(), random)
                                      .context("wrap the run key for recipient " + out.recipient.hex()));
  out.encapsulated = wrapped.encapsulated;
  out.ciphertext = std::move(wrapped.ciphertext);
  return out;
}

}  // namespace

Bytes encode(const KeySlot& slot) {
  HF_ASSERT(slot.wraps.size() <= kMaxRecipients && strictly_ascending(slot.wraps));
  ByteWriter out;
  out.raw(kSlotMagic).u16(kSlotVersion).id(slot.run).u16(static_cast<std::uint16_t>(slot.wraps.size()));
  for (const KeySlot::Wrap& w : slot.wraps) {
    HF_ASSERT(w.ciphertext.size() == kWrappedKeyBytes);
    out.id(w.recipient).id(w.encapsulated).raw(w.ciphertext);
  }
  out.id(crypto::digest(out.span()));
  return out.take();
}

Result<KeySlot> decode_key_slot(ByteSpan bytes) { return decode_slot(bytes).context("key slot"); }

Result<KeySlot> wrap_run_key(const crypto::Key& run_key, const RunRecord& record, ByteSpan signed_run_record,
                             const std::vector<WrapTarget>& targets, Random& random) {
  HF_ASSERT(commit_to(run_key, record.run) == record.commitment);
  if (targets.empty())
    return Error{Errc::Usage, "no recipient to wrap the run key for: nobody could restore this backup"};
  if (targets.size() > kMaxRecipients)
    return Error{Errc::Limit, "more than " + std::to_string(kMaxRecipients) + " recipients"};
  const Digest record_digest = crypto::digest(signed_run_record);
  KeySlot out;
  out.run = record.run;
  for (const WrapTarget& target : targets) {
    HF_TRY(KeySlot::Wrap wrap, wrap_one(run_key, record, record_digest, target, random));
    out.wraps.push_back(std::move(wrap));
  }
  std::sort(out.wraps.begin(), out.wraps.end(), wrap_less);
  if (!strictly_ascending(out.wraps)) return Error{Errc::Usage, "the same recipient is named twice"};
  return out;
}

Result<crypto::Key> unwrap_run_key(const KeySlot& slot, const RunRecord& record, ByteSpan signed_run_record,
                                   const crypto::WrapKeyPair& recipient, const crypto::Key& wrap_secret) {
  const std::string doing = "key slot of run " + record.run.hex();
  if (slot.run != record.run) return Error{Errc::Corrupt, doing + ": it belongs to run " + slot.run.hex()};
  const RecipientId id = recipient.recipient();
  const auto wrap =
      std::find_if(slot.wraps.begin(), slot.wraps.end(), [&](const auto& w) { return w.recipient == id; });
  if (wrap == slot.wraps.end()) return Error{Errc::WrongKey, doing + ": it is not wrapped for recipient " + id.hex()};

  const Bytes identifier = psk_id(record, id);
  const Digest record_digest = crypto::digest(signed_run_record);
  const crypto::HpkeContext context{as_bytes(codec::kSlotInfo), record_digest.bytes, &wrap_secret, identifier};
  const crypto::Wrapped wrapped{wrap->encapsulated, wrap->ciphertext};
  HF_TRY(Bytes opened, crypto::hpke_open(recipient, context, wrapped).context(doing));
  if (opened.size() != 32) return Error{Errc::Corrupt, doing + ": a run key has 32 bytes"};
  crypto::Key key{ByteSpan(opened)};
  crypto::wipe(opened);
  if (commit_to(key, record.run) != record.commitment) {
    return Error{Errc::Corrupt, doing + ": the key inside is not the one that the run record commits to"};
  }
  return key;
}

}  // namespace holdfast::snapshot
