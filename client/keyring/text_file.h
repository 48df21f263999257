#pragma once
// Why: kit and recovery files are kept for decades, copied by mail and stick, perhaps typed from paper. Hence text:
// a first line that says kind and version, comments, base64url lines, a checksum (FORMAT.md, section 1).
// Private to client/keyring.

#include <string>
#include <string_view>

#include "common/crypto/secret.h"

namespace holdfast::keyring {

inline constexpr std::size_t kMaxTextFileBytes = 16u << 10;

struct TextKind {
  std::string_view first_line;  ///< "HOLDFAST KIT "; the version follows
  std::string_view comment;     ///< lines, each beginning with '#'
};
extern const TextKind kKitKind;
extern const TextKind kRecoveryKind;

bool is_kind(ByteSpan file, const TextKind& kind);

/// The whole file. `passphrase` empty: the secret stands open in it.
Result<Bytes> encode_text_file(const TextKind& kind, ByteSpan secret, ByteSpan passphrase, Random& random);

struct TextFile {
  bool is_protected = false;
  Bytes payload;  ///< what the base64 lines hold, checksum verified
  ~TextFile() { crypto::wipe(payload); }
  TextFile() = default;
  TextFile(TextFile&&) = default;
};
/// Errors: Corrupt, TooNew, Limit.
Result<TextFile> decode_text_file(const TextKind& kind, ByteSpan file);
/// The secret of exactly `secret_bytes`. Errors: WrongKey, Corrupt, Limit.
Result<Bytes> open_text_file(const TextKind& kind, const TextFile& file, ByteSpan passphrase, std::size_t secret_bytes);

}  // namespace holdfast::keyring
