// Kit and recovery files: FORMAT.md, sections 1 to 3.

#include "client/keyring/file_mode.h"
#include "client/keyring/keyring.h"
#include "client/keyring/text_file.h"
#include "common/crypto/hash.h"

namespace holdfast::keyring {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kSecretBytes = 3 * kKeyBytes;  // of both kinds of file
constexpr std::size_t kMaxPassphraseBytes = 4096;

/// Wipes what it holds at the end of a scope.
struct Wiped {
  Bytes bytes;
  ~Wiped() { crypto::wipe(bytes); }
};

Wiped join(std::initializer_list<ByteSpan> parts) {
  Wiped out;
  out.bytes.reserve(kSecretBytes);
  for (const ByteSpan part : parts) out.bytes.insert(out.bytes.end(), part.begin(), part.end());
  return out;
}

ByteSpan part(const Wiped& secret, std::size_t number) {
  return ByteSpan(secret.bytes).subspan(number * kKeyBytes, kKeyBytes);
}

Status write_secret(fs::FileSystem& fs, const std::string& path, const TextKind& kind, const Wiped& secret,
                    ByteSpan passphrase, Random& random) {
  Wiped file;
  HF_TRY(file.bytes, encode_text_file(kind, secret.bytes, passphrase, random));
  return fs::create_file(fs, path, file.bytes, 0600);
}

Result<Wiped> read_whole(fs::FileSystem& fs, const std::string& path) {
  Wiped file;
  HF_TRY(file.bytes, fs::read_file(fs, path, kMaxTextFileBytes));
  return file;
}

Result<Wiped> read_secret(fs::FileSystem& fs, const std::string& path, const TextKind& kind, const Wiped& file,
                          ByteSpan passphrase) {
  HF_TRY(const TextFile decoded, decode_text_file(kind, file.bytes));
  // Under a passphrase the file may lie on a stick whose file system knows no modes.
  if (!decoded.is_protected) HF_TRY_DO(check_private(fs, path));
  Wiped secret;
  HF_TRY(secret.bytes, open_text_file(kind, decoded, passphrase, kSecretBytes));
  return secret;
}

Result<Kit> parse_kit(fs::FileSystem& fs, const std::string& path, const Wiped& file, ByteSpan passphrase) {
  HF_TRY(const Wiped secret, read_secret(fs, path, kKitKind, file, passphrase));
  return Kit{crypto::SigningKey(crypto::Key(part(secret, 0))), crypto::WrapKeyPair(crypto::Key(part(secret, 1))),
             crypto::Key(part(secret, 2))};
}

Result<RecoveryKey> parse_recovery(fs::FileSystem& fs, const std::string& path, const Wiped& file,
                                   ByteSpan passphrase) {
  HF_TRY(const Wiped secret, read_secret(fs, path, kRecoveryKind, file, passphrase));
  HF_TRY(const PublicKey root, PublicKey::from_bytes(part(secret, 2)));
  return RecoveryKey{crypto::WrapKeyPair(crypto::Key(part(secret, 0))), crypto::Key(part(secret, 1)), root};
}

}  // namespace

Result<Bytes> read_passphrase(fs::FileSystem& fs, const std::string& path) {
  const std::string doing = "read the passphrase file";
  HF_TRY_DO(check_private(fs, path).context(doing));
  HF_TRY(Bytes bytes, fs::read_file(fs, path, kMaxPassphraseBytes).context(doing));
  while (!bytes.empty() && (bytes.back() == '\n' || bytes.back() == '\r')) bytes.pop_back();
  if (bytes.empty()) {
    return Error{Errc::Usage, doing + ": " + printable(path) +
                                  " holds no passphrase, and without one the key would lie open; "
                                  "a pipe cannot be read here"};
  }
  return bytes;
}

Kit make_kit(Random& random) {
  return Kit{crypto::SigningKey::generate(random), crypto::WrapKeyPair::generate(random), crypto::Key::random(random)};
}

RecoveryKey recovery_of(const Kit& kit) {
  return RecoveryKey{crypto::WrapKeyPair(kit.recovery.private_key()), kit.tenant_secret.clone(), kit.root.public_key()};
}

Status write_kit(fs::FileSystem& fs, const std::string& path, const Kit& kit, ByteSpan passphrase, Random& random) {
  const Wiped secret = join({kit.root.seed().span(), kit.recovery.private_key().span(), kit.tenant_secret.span()});
  return write_secret(fs, path, kKitKind, secret, passphrase, random).context("write kit '" + printable(path) + "'");
}

Result<Kit> read_kit(fs::FileSystem& fs, const std::string& path, ByteSpan passphrase) {
  const std::string doing = "read kit '" + printable(path) + "'";
  HF_TRY(const Wiped file, read_whole(fs, path).context(doing));
  return parse_kit(fs, path, file, passphrase).context(doing);
}

Status write_recovery(fs::FileSystem& fs, const std::string& path, const RecoveryKey& key, ByteSpan passphrase,
                      Random& random) {
  const Wiped secret = join({key.recovery.private_key().span(), key.tenant_secret.span(), key.root.bytes});
  return write_secret(fs, path, kRecoveryKind, secret, passphrase, random)
      .context("write recovery file '" + printable(path) + "'");
}

Result<RecoveryKey> read_recovery(fs::FileSystem& fs, const std::string& path, ByteSpan passphrase) {
  const std::string doing = "read recovery file '" + printable(path) + "'";
  HF_TRY(const Wiped file, read_whole(fs, path).context(doing));
  if (!is_kind(file.bytes, kKitKind)) return parse_recovery(fs, path, file, passphrase).context(doing);
  HF_TRY(const Kit kit, parse_kit(fs, path, file, passphrase).context(doing));
  return recovery_of(kit);
}

crypto::Key wrap_secret(const crypto::Key& tenant_secret, const ClientId& client, const RecipientId& recipient) {
  ByteWriter context;
  context.id(client).id(recipient);
  return crypto::derive(tenant_secret, "wrap-secret", context.span());
}

DomainKeys::DomainKeys(crypto::Key key)
    : domain(std::move(key)),
      cut(crypto::derive(domain, "cut")),
      fingerprint(crypto::derive(domain, "fingerprint")),
      blob(crypto::derive(domain, "blob-id")),
      image(crypto::derive(domain, "image")),
      state(crypto::derive(domain, "state")) {}

}  // namespace holdfast::keyring
