#pragma once
// Inside identity/ and transport/ only: owners for OpenSSL's objects, and its errors as words.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace holdfast::identity {

template <auto kFree>
struct OpensslFree {
  template <class T>
  void operator()(T* p) const {
    kFree(p);
  }
};
template <class T, auto kFree>
using OpensslPtr = std::unique_ptr<T, OpensslFree<kFree>>;

using BioPtr = OpensslPtr<BIO, BIO_free_all>;
using PkeyPtr = OpensslPtr<EVP_PKEY, EVP_PKEY_free>;
using X509Ptr = OpensslPtr<X509, X509_free>;
using RequestPtr = OpensslPtr<X509_REQ, X509_REQ_free>;

/// The last error of this thread in OpenSSL's words, and empties its queue. "unknown reason" when there is none.
std::string openssl_reason();
inline Error openssl_error(Errc code, std::string_view doing) {
  return Error{code, std::string(doing) + ": " + openssl_reason()};
}

/// PEM text to objects. Errors: Usage. Encrypted keys are refused, never asked about on the terminal.
Result<PkeyPtr> read_key(const std::string& pem);
/// The first certificate of the text.
Result<X509Ptr> read_certificate(const std::string& pem);
/// All of them, in order; at least one, at most 8.
Result<std::vector<X509Ptr>> read_certificates(const std::string& pem);

}  // namespace holdfast::identity
