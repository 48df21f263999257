#include "client/keyring/text_file.h"

#include <algorithm>

#include "common/crypto/aead.h"
#include "common/crypto/hash.h"
#include "common/crypto/sign.h"

namespace holdfast::keyring {

const TextKind kKitKind{
    "HOLDFAST KIT ",
    "# The keys of a Holdfast customer: whoever has this file can open every backup of every machine and certify\n"
    "# machines as this customer's. Without it (or the recovery file) and without the machine, no backup can be restored.\n"
    "# Keep it off line, in two places that do not burn together; never on a machine that is backed up with it.\n"};
const TextKind kRecoveryKind{
    "HOLDFAST RECOVERY ",
    "# Opens every backup of a Holdfast customer, but certifies nothing: whoever has this file can read everything.\n"
    "# Keep it off line, in two places that do not burn together.\n"};

namespace {

constexpr std::string_view kVersion = "1";
constexpr std::string_view kChecksumWord = "checksum ";
constexpr std::size_t kChecksumBytes = 8;  // finds slips of copying; who can write the file can write this too
constexpr std::size_t kLineBytes = 64;
constexpr std::size_t kSaltBytes = 16;

// Frozen: the first byte of the payload.
constexpr std::uint8_t kOpen = 0;
constexpr std::uint8_t kPassphrase = 1;
// Always this cipher: the file may be opened decades later on any processor.
constexpr crypto::Cipher kCipher = crypto::Cipher::XChaCha20Poly1305;

std::string title(const TextKind& kind) { return std::string(kind.first_line) + std::string(kVersion); }

std::string checksum(const TextKind& kind, ByteSpan payload) {
  const Digest digest = crypto::digest({as_bytes(title(kind)), payload});
  return to_hex(ByteSpan(digest.bytes).first(kChecksumBytes));
}

void wipe_text(std::string& text) { crypto::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }

/// The next line without its end and without spaces around it; `text` moves behind it.
std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
  while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  return line;
}

Status check_title(const TextKind& kind, std::string_view line) {
  if (!line.starts_with(kind.first_line)) {
    return Error{Errc::Corrupt, "its first line is not '" + title(kind) + "': it is another kind of file"};
  }
  const std::string_view version = line.substr(kind.first_line.size());
  if (version != kVersion)
    return Error{Errc::TooNew, "it has version '" + printable(version) + "', which this program does not know"};
  return {};
}

struct Lines {
  std::string base64;
  std::string_view checksum;
};

Result<Lines> collect_lines(std::string_view text) {
  Lines out;
  out.base64.reserve(
      text.size());  // grows nowhere: a copy of the secret left behind in freed memory could not be wiped
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty() || line[0] == '#') continue;
    if (!out.checksum.empty()) return Error{Errc::Corrupt, "there is text behind its checksum"};
    if (line.starts_with(kChecksumWord)) {
      out.checksum = line.substr(kChecksumWord.size());
    } else {
      out.base64 += line;
    }
  }
  if (out.checksum.empty())
    return Error{Errc::Corrupt, "its last line, the checksum, is missing: the copy is not complete"};
  return out;
}

/// protection byte ‖ passes ‖ memory ‖ salt ‖ nonce: authenticated with the first line.
Bytes associated(const TextKind& kind, ByteSpan front) {
  ByteWriter out;
  out.raw(title(kind)).raw(front);
  return out.take();
}

Result<Bytes> protect(const TextKind& kind, ByteSpan secret, ByteSpan passphrase, Random& random) {
  std::array<std::uint8_t, kSaltBytes> salt{};
  random.fill(salt);
  Bytes nonce(crypto::nonce_bytes(kCipher));
  random.fill(nonce);
  const crypto::PasswordParameters parameters = crypto::kDefaultPassword;
  HF_TRY(const crypto::Key key, crypto::derive_from_password(passphrase, salt, parameters));
  ByteWriter front;
  front.u8(kPassphrase).u32(parameters.passes).u32(parameters.memory_kib).raw(salt).raw(nonce);
  Bytes out = front.take();
  const Bytes covered = associated(kind, out);
  crypto::seal(kCipher, key, nonce, covered, secret, out);
  return out;
}

Result<Bytes> unprotect(const TextKind& kind, ByteSpan payload, ByteSpan passphrase) {
  ByteReader in(payload);
  in.u8();
  crypto::PasswordParameters parameters{};
  parameters.passes = in.u32();
  parameters.memory_kib = in.u32();
  const ByteSpan salt = in.raw(kSaltBytes);
  const ByteSpan nonce = in.raw(crypto::nonce_bytes(kCipher));
  if (!in.ok() || in.left() < crypto::kTagBytes) return Error{Errc::Corrupt, "it is cut short"};
  if (passphrase.empty())
    return Error{Errc::WrongKey, "it is protected by a passphrase: give --passphrase-file with the file that holds it"};
  const Bytes covered = associated(kind, payload.first(payload.size() - in.left()));
  HF_TRY(const crypto::Key key, crypto::derive_from_password(passphrase, salt, parameters));
  Result<Bytes> opened = crypto::open(kCipher, key, nonce, covered, in.raw(in.left()));
  if (!opened) return Error{Errc::WrongKey, "the passphrase does not open it"};
  return opened;
}

}  // namespace

bool is_kind(ByteSpan file, const TextKind& kind) {
  std::string_view text = as_text(file);
  return take_line(text).starts_with(kind.first_line);
}

Result<Bytes> encode_text_file(const TextKind& kind, ByteSpan secret, ByteSpan passphrase, Random& random) {
  Bytes payload;
  if (passphrase.empty()) {
    payload.reserve(secret.size() + 1);
    payload.push_back(kOpen);
    payload.insert(payload.end(), secret.begin(), secret.end());
  } else {
    HF_TRY(payload, protect(kind, secret, passphrase, random));
  }
  std::string base64 = to_base64(payload);
  Bytes out;
  out.reserve(kMaxTextFileBytes);
  const auto append = [&](std::string_view text) { out.insert(out.end(), text.begin(), text.end()); };
  append(title(kind));
  append("\n");
  append(kind.comment);
  for (std::size_t at = 0; at < base64.size(); at += kLineBytes) {
    append(std::string_view(base64).substr(at, kLineBytes));
    append("\n");
  }
  append(kChecksumWord);
  append(checksum(kind, payload));
  append("\n");
  wipe_text(base64);
  crypto::wipe(payload);
  return out;
}

Result<TextFile> decode_text_file(const TextKind& kind, ByteSpan file) {
  if (file.size() > kMaxTextFileBytes) return Error{Errc::Limit, "it is far too long for a key file"};
  std::string_view text = as_text(file);
  HF_TRY_DO(check_title(kind, take_line(text)));
  HF_TRY(Lines lines, collect_lines(text));
  Result<Bytes> payload = from_base64(lines.base64);
  wipe_text(lines.base64);
  if (!payload) return Error{Errc::Corrupt, "a line holds something that is not base64"};
  TextFile out;
  out.payload = *std::move(payload);
  if (checksum(kind, out.payload) != lines.checksum)
    return Error{Errc::Corrupt, "its checksum differs: a character was lost or changed in copying"};
  if (out.payload.empty() || out.payload[0] > kPassphrase)
    return Error{Errc::TooNew, "it is protected in a way that this program does not know"};
  out.is_protected = out.payload[0] == kPassphrase;
  return out;
}

Result<Bytes> open_text_file(const TextKind& kind, const TextFile& file, ByteSpan passphrase,
                             std::size_t secret_bytes) {
  Bytes secret;
  if (file.is_protected) {
    HF_TRY(secret, unprotect(kind, file.payload, passphrase));
  } else {
    secret = to_bytes(ByteSpan(file.payload).subspan(1));
  }
  if (secret.size() != secret_bytes) {
    crypto::wipe(secret);
    return Error{Errc::Corrupt, "the keys inside have a wrong length"};
  }
  return secret;
}

}  // namespace holdfast::keyring
