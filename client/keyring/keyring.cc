// The keyring file: FORMAT.md, section 4.

#include "client/keyring/keyring.h"

#include "client/keyring/file_mode.h"
#include "client/keyring/keyring_codec.h"
#include "common/crypto/hash.h"

namespace holdfast::keyring {
namespace {

constexpr std::string_view kMagic = "HFKEYRNG";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMaxKeyPemBytes = 16u << 10;
constexpr std::size_t kMaxCertificatePemBytes = 64u << 10;
constexpr std::size_t kMaxServiceBytes = 512;
constexpr std::size_t kMaxLabelBytes = 64;
constexpr std::size_t kMaxPlanBytes = 64;
constexpr std::size_t kKeyBytes = 32;

// Frozen.
constexpr std::uint8_t kClientRole = 1;
constexpr std::uint8_t kOperatorRole = 2;
constexpr std::uint8_t kHasSigning = 1;
constexpr std::uint8_t kHasDomainKey = 2;
constexpr std::uint8_t kHasRead = 4;
constexpr std::uint8_t kKnownParts = 7;

void encode_client(ByteWriter& out, const Keyring& k) {
  out.id(k.tenant).id(k.client).id(k.domain).u32(k.domain_epoch);
  std::uint8_t parts = 0;
  if (k.signing) parts |= kHasSigning;
  if (k.domain_key) parts |= kHasDomainKey;
  if (k.read) parts |= kHasRead;
  out.u8(parts);
  if (k.signing) out.raw(k.signing->seed().span());
  if (k.domain_key) out.raw(k.domain_key->span());
  if (k.read) out.raw(k.read->private_key().span());
  out.sized(k.certificate);
  HF_ASSERT(k.recipients.size() <= snapshot::kMaxRecipients);
  out.u32(static_cast<std::uint32_t>(k.recipients.size()));
  for (const Recipient& r : k.recipients) out.id(r.key).raw(r.wrap_secret.span()).sized(r.label);
  out.id(k.root).sized(k.plan);
}

crypto::Key read_key(ByteReader& in) {
  const ByteSpan bytes = in.raw(kKeyBytes);
  return bytes.size() == kKeyBytes ? crypto::Key(bytes) : crypto::Key();
}

Status decode_client(ByteReader& in, Keyring& k) {
  k.tenant = in.id<TenantId>();
  k.client = in.id<ClientId>();
  k.domain = in.id<DomainId>();
  k.domain_epoch = in.u32();
  const std::uint8_t parts = in.u8();
  if (in.ok() && (parts & ~kKnownParts) != 0)
    return Error{Errc::TooNew, "it has parts that this program does not know"};
  if ((parts & kHasSigning) != 0) k.signing.emplace(read_key(in));
  if ((parts & kHasDomainKey) != 0) k.domain_key.emplace(read_key(in));
  if ((parts & kHasRead) != 0) k.read.emplace(read_key(in));
  k.certificate = to_bytes(in.sized(snapshot::kMaxCertificateBytes));
  const std::size_t count = in.count(2 * kKeyBytes + 4);
  if (count > snapshot::kMaxRecipients) return Error{Errc::Corrupt, "it names too many recipients"};
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const PublicKey key = in.id<PublicKey>();
    crypto::Key secret = read_key(in);
    k.recipients.push_back(Recipient{key, std::move(secret), in.sized_text(kMaxLabelBytes)});
  }
  k.root = in.id<PublicKey>();
  k.plan = in.sized_text(kMaxPlanBytes);
  return {};
}

Status check_header(ByteReader& in, ByteSpan file) {
  if (as_text(in.raw(kMagic.size())) != kMagic) return Error{Errc::Corrupt, "it is not a keyring"};
  const std::uint16_t version = in.u16();
  if (in.ok() && version != kVersion)
    return Error{Errc::TooNew, "it has version " + std::to_string(version) + ", which this program does not know"};
  if (file.size() < Digest::kBytes || !in.ok()) return Error{Errc::Corrupt, "it is cut short"};
  const ByteSpan covered = file.first(file.size() - Digest::kBytes);
  if (!same_bytes(crypto::digest(covered).bytes, file.last(Digest::kBytes)))
    return Error{Errc::Corrupt, "its checksum differs"};
  return {};
}

Status decode_role(std::uint8_t role, Keyring& k) {
  if (role == kClientRole) {
    k.name.role = identity::Role::Client;
  } else if (role == kOperatorRole) {
    k.name.role = identity::Role::Operator;
  } else {
    return Error{Errc::Corrupt, "it has an unknown role"};
  }
  return {};
}

/// Wipes what it holds at the end of a scope.
struct Wiped {
  Bytes bytes;
  ~Wiped() { crypto::wipe(bytes); }
};

}  // namespace

Bytes encode_keyring(const Keyring& k) {
  HF_ASSERT(k.name.role != identity::Role::Server);
  const bool is_client = k.name.role == identity::Role::Client;
  ByteWriter out;
  out.raw(kMagic).u16(kVersion).u8(is_client ? kClientRole : kOperatorRole);
  out.sized(k.name.tenant).sized(k.name.name).sized(k.tls.key_pem).sized(k.tls.certificate_pem).sized(k.ca_pem);
  out.sized(k.service).id(k.receipt_key);
  if (is_client) encode_client(out, k);
  out.id(crypto::digest(out.span()));
  return out.take();
}

Result<Keyring> decode_keyring(ByteSpan file) {
  if (file.size() > kMaxKeyringBytes) return Error{Errc::Limit, "it is far too long for a keyring"};
  ByteReader header(file);
  HF_TRY_DO(check_header(header, file));
  ByteReader in(file.first(file.size() - Digest::kBytes));
  in.raw(kMagic.size() + 2);
  Keyring k;
  HF_TRY_DO(decode_role(in.u8(), k));
  k.name.tenant = in.sized_text(63);
  k.name.name = in.sized_text(63);
  k.tls.key_pem = in.sized_text(kMaxKeyPemBytes);
  k.tls.certificate_pem = in.sized_text(kMaxCertificatePemBytes);
  k.ca_pem = in.sized_text(kMaxCertificatePemBytes);
  k.service = in.sized_text(kMaxServiceBytes);
  k.receipt_key = in.id<PublicKey>();
  if (k.name.role == identity::Role::Client) HF_TRY_DO(decode_client(in, k));
  HF_TRY_DO(in.finish("fields"));
  return k;
}

Status write_keyring(fs::FileSystem& fs, const std::string& path, const Keyring& keyring) {
  const Wiped file{encode_keyring(keyring)};
  // What could not be read back must not replace what can: this catches a certificate or name beyond its bound.
  HF_TRY_DO(decode_keyring(file.bytes).context("write keyring '" + printable(path) + "'"));
  return fs::replace_file(fs, path, file.bytes, 0600).context("write keyring '" + printable(path) + "'");
}

Result<Keyring> read_keyring(fs::FileSystem& fs, const std::string& path) {
  const std::string doing = "read keyring '" + printable(path) + "'";
  HF_TRY_DO(check_private(fs, path).context(doing));
  Wiped file;
  HF_TRY(file.bytes, fs::read_file(fs, path, kMaxKeyringBytes).context(doing));
  return decode_keyring(file.bytes).context(doing);
}

}  // namespace holdfast::keyring
