#include "server/session/small_file.h"

#include "common/base/ids.h"
#include "common/crypto/hash.h"

namespace holdfast::session {
namespace {

constexpr std::size_t kMagicBytes = 4;
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeadBytes = kMagicBytes + 2 + 4;

}  // namespace

Bytes encode_small_file(std::string_view magic, ByteSpan body) {
  HF_ASSERT(magic.size() == kMagicBytes && body.size() <= kMaxSmallFileBytes - kHeadBytes - Digest::kBytes);
  ByteWriter out;
  out.raw(magic).u16(kVersion).sized(body);
  out.id(crypto::digest(out.span()));
  return out.take();
}

Result<Bytes> decode_small_file(std::string_view magic, ByteSpan file) {
  ByteReader in(file);
  const std::string_view found = as_text(in.raw(kMagicBytes));
  const std::uint16_t version = in.u16();
  if (!in.ok() || found != magic) return Error{Errc::Corrupt, "not a file of the kind '" + std::string(magic) + "'"};
  if (version > kVersion)
    return Error{Errc::TooNew,
                 "format " + std::to_string(version) + ", this program knows up to " + std::to_string(kVersion)};
  const ByteSpan body = in.sized(kMaxSmallFileBytes);
  const Digest digest = in.id<Digest>();
  HF_TRY_DO(in.finish("server file"));
  if (version == 0 || digest != crypto::digest(file.first(file.size() - Digest::kBytes))) {
    return Error{Errc::Corrupt, "its digest does not fit its bytes"};
  }
  return to_bytes(body);
}

Result<Bytes> read_small_file(fs::FileSystem& fs, const std::string& path, std::string_view magic) {
  HF_TRY(const Bytes file, fs::read_file(fs, path, kMaxSmallFileBytes));
  return decode_small_file(magic, file).context("read '" + printable(path) + "'");
}

Status write_small_file(fs::FileSystem& fs, const std::string& path, std::string_view magic, ByteSpan body) {
  return fs::replace_file(fs, path, encode_small_file(magic, body), 0600);
}

}  // namespace holdfast::session
