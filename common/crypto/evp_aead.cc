#include "common/crypto/evp_aead.h"

#include <limits>
#include <memory>

namespace holdfast::crypto {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

/// Lends the thread's context and clears it afterwards, so that no expanded key outlives the call.
class Context {
 public:
  Context() {
    if (!slot()) slot().reset(EVP_CIPHER_CTX_new());
    HF_ASSERT(slot() != nullptr);
  }
  ~Context() { EVP_CIPHER_CTX_reset(slot().get()); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  EVP_CIPHER_CTX* get() const { return slot().get(); }

 private:
  static std::unique_ptr<EVP_CIPHER_CTX, FreeContext>& slot() {
    thread_local std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context;
    return context;
  }
};

/// EVP counts in int. Nothing that we seal comes near it.
int int_size(ByteSpan bytes) {
  HF_ASSERT(bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(bytes.size());
}

}  // namespace

EVP_CIPHER* fetch_cipher(const char* name) {
  EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  HF_ASSERT(cipher != nullptr);
  return cipher;
}

void evp_seal(const EVP_CIPHER* cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan plaintext,
              MutableByteSpan out) {
  HF_ASSERT(out.size() == plaintext.size() + kTagBytes);
  const Context context;
  int written = 0;
  HF_ASSERT(EVP_EncryptInit_ex2(context.get(), cipher, key.span().data(), nonce.data(), nullptr) == 1);
  if (!associated.empty())
    HF_ASSERT(EVP_EncryptUpdate(context.get(), nullptr, &written, associated.data(), int_size(associated)) == 1);
  written = 0;
  if (!plaintext.empty())
    HF_ASSERT(EVP_EncryptUpdate(context.get(), out.data(), &written, plaintext.data(), int_size(plaintext)) == 1);
  int last = 0;
  HF_ASSERT(EVP_EncryptFinal_ex(context.get(), out.data() + written, &last) == 1);
  HF_ASSERT(static_cast<std::size_t>(written + last) == plaintext.size());
  HF_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kTagBytes),
                                out.data() + plaintext.size()) == 1);
}

bool evp_open(const EVP_CIPHER* cipher, const Key& key, ByteSpan nonce, ByteSpan associated, ByteSpan sealed,
              MutableByteSpan out) {
  HF_ASSERT(sealed.size() >= kTagBytes && out.size() == sealed.size() - kTagBytes);
  const ByteSpan body = sealed.first(out.size());
  Bytes tag = to_bytes(sealed.last(kTagBytes));  // the setter takes a pointer to non-const
  const Context context;
  int written = 0;
  HF_ASSERT(EVP_DecryptInit_ex2(context.get(), cipher, key.span().data(), nonce.data(), nullptr) == 1);
  HF_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTagBytes), tag.data()) == 1);
  if (!associated.empty())
    HF_ASSERT(EVP_DecryptUpdate(context.get(), nullptr, &written, associated.data(), int_size(associated)) == 1);
  written = 0;
  if (!body.empty() && EVP_DecryptUpdate(context.get(), out.data(), &written, body.data(), int_size(body)) != 1)
    return false;
  int last = 0;
  std::uint8_t nothing[16];
  return EVP_DecryptFinal_ex(context.get(), nothing, &last) == 1 &&
         static_cast<std::size_t>(written + last) == out.size();
}

}  // namespace holdfast::crypto
