// One record: head ‖ payload (FORMAT.md, sections 2 and 3).

#include "common/crypto/hash.h"
#include "common/journal/journal.h"

namespace holdfast::journal {
namespace {

constexpr std::string_view kMagic = "HFJ1";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kChainedBytes = kHeadBytes - Digest::kBytes;  // what the chain digest covers

Error corrupt(std::string what) { return {Errc::Corrupt, "journal record: " + std::move(what)}; }

bool is_known(Kind kind) {
  switch (kind) {
    case Kind::Tenant:
    case Kind::Client:
    case Kind::Source:
    case Kind::Session:
    case Kind::Packs:
    case Kind::Commit:
    case Kind::ExpireSession:
    case Kind::Damage:
    case Kind::Lock:
    case Kind::Undelete:
    case Kind::Condemn:
    case Kind::Deleted:
    case Kind::Erased:
    case Kind::Clock:
    case Kind::Fork:
    case Kind::Removed:
      return true;
  }
  return false;
}

std::string named(const Record& record) { return "journal record " + std::to_string(record.number); }

Bytes chained_part(const Record& record) {
  ByteWriter w;
  w.raw(kMagic).u16(kVersion).u16(static_cast<std::uint16_t>(record.kind));
  w.u32(static_cast<std::uint32_t>(record.payload.size())).u32(0);
  w.u64(record.number).u64(record.epoch).u64(record.generation).i64(record.vault_ns).i64(record.wall_ns);
  w.id(record.previous).raw(ByteSpan(record.salt)).id(record.payload_digest);
  return w.take();
}

// Section 2, steps 1 and 2: the version says how to compute the digest, the digest comes before every other field.
Status check_envelope(ByteSpan bytes) {
  if (bytes.size() < kHeadBytes) {
    return corrupt("head of " + std::to_string(kHeadBytes) + " bytes cut off after " + std::to_string(bytes.size()));
  }
  ByteReader r(bytes);
  if (as_text(r.raw(kMagic.size())) != kMagic) return corrupt("does not begin with the magic \"HFJ1\"");
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{Errc::TooNew, "journal record: version " + std::to_string(version) + ", this program reads " +
                                   std::to_string(kVersion)};
  }
  const Digest computed = crypto::digest(bytes.first(kChainedBytes));
  if (!same_bytes(computed.bytes, bytes.subspan(kChainedBytes, Digest::kBytes))) {
    return corrupt("the head's bytes do not match its digest");
  }
  return {};
}

}  // namespace

Bytes encode(Record& record) {
  HF_ASSERT(record.payload.size() <= kMaxPayloadBytes);
  record.payload_digest = crypto::digest({ByteSpan(record.salt), ByteSpan(record.payload)});
  const Bytes chained = chained_part(record);
  HF_ASSERT(chained.size() == kChainedBytes);
  record.digest = crypto::digest(chained);

  ByteWriter w;
  w.raw(chained).id(record.digest).raw(record.payload);
  return w.take();
}

Result<DecodedHead> decode_head(ByteSpan bytes) {
  HF_TRY_DO(check_envelope(bytes));

  ByteReader r(bytes.subspan(kMagic.size() + sizeof kVersion));
  DecodedHead out;
  Record& record = out.record;
  const std::uint16_t kind = r.u16();
  out.payload_bytes = r.u32();
  const std::uint32_t reserved = r.u32();
  record.number = r.u64();
  record.epoch = r.u64();
  record.generation = r.u64();
  record.vault_ns = r.i64();
  record.wall_ns = r.i64();
  record.previous = r.id<Digest>();
  const ByteSpan salt = r.raw(record.salt.size());
  std::memcpy(record.salt.data(), salt.data(), salt.size());
  record.payload_digest = r.id<Digest>();
  record.digest = r.id<Digest>();

  // Everything below has a matching digest: it was written so, by another program or by a bug.
  if (reserved != 0) return corrupt("reserved bytes are not zero");
  if (record.number == 0) return corrupt("has number 0, the first is 1");
  if (kind == 0) return corrupt("has kind 0");
  if (!is_known(static_cast<Kind>(kind))) {
    // Never skipped: state that was rebuilt without it would be another state.
    return Error{Errc::TooNew, named(record) + ": kind " + std::to_string(kind) + " is not known to this program"};
  }
  record.kind = static_cast<Kind>(kind);
  if (out.payload_bytes > kMaxPayloadBytes) {
    return Error{Errc::Limit, named(record) + ": payload of " + std::to_string(out.payload_bytes) + " bytes, at most " +
                                  std::to_string(kMaxPayloadBytes) + " are allowed"};
  }
  return out;
}

Result<Decoded> decode(ByteSpan bytes) {
  HF_TRY(DecodedHead head, decode_head(bytes));
  const ByteSpan rest = bytes.subspan(kHeadBytes);
  if (rest.size() < head.payload_bytes) {
    return Error{Errc::Corrupt, named(head.record) + ": payload of " + std::to_string(head.payload_bytes) +
                                    " bytes cut off after " + std::to_string(rest.size())};
  }
  const ByteSpan payload = rest.first(head.payload_bytes);
  if (crypto::digest({ByteSpan(head.record.salt), payload}) != head.record.payload_digest) {
    return Error{Errc::Corrupt, named(head.record) + ": the payload does not match its digest"};
  }
  head.record.payload = to_bytes(payload);
  return Decoded{std::move(head.record), kHeadBytes + payload.size()};
}

Status check_link(const Record* before, const Record& next) {
  const std::uint64_t expected = before == nullptr ? 1 : before->number + 1;
  if (next.number != expected) {
    return Error{Errc::Corrupt, "journal: record " + std::to_string(next.number) + " stands where record " +
                                    std::to_string(expected) + " belongs"};
  }
  const Digest previous = before == nullptr ? Digest{} : before->digest;
  if (next.previous != previous) {
    return Error{Errc::Corrupt, "journal: record " + std::to_string(next.number) + " does not continue record " +
                                    std::to_string(next.number - 1) + " (its digest of the previous record differs)"};
  }
  if (before != nullptr && (next.epoch < before->epoch || next.generation < before->generation)) {
    return Error{Errc::Corrupt, "journal: record " + std::to_string(next.number) +
                                    " has an older epoch or generation than record " + std::to_string(before->number)};
  }
  return {};
}

}  // namespace holdfast::journal
