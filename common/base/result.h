#pragma once
// Why: the world fails (missing, corrupt, denied, full, unreachable), and the caller must see that in the type.
// Promises: Result<T> is a value or an Error; an Error has a code to branch on and a context that grows outward.
// Leaves to others: bugs of ours (HF_ASSERT stops the program); exit codes (console).

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

namespace holdfast {

/// What went wrong, as far as a caller may branch on it. Numbers travel on the wire (PROTOCOL.md): never renumber.
enum class Errc : std::uint16_t {
  Usage = 1,         ///< a wrong argument or option
  Config = 2,        ///< a bad or unknown configuration key
  NotFound = 3,      ///< no such file, snapshot, blob, tenant
  Exists = 4,        ///< it is there already
  Io = 5,            ///< the disk or the kernel failed
  DiskFull = 6,      ///< no space or no inodes left
  SourceFailed = 7,  ///< a source could not be backed up
  Denied = 8,        ///< rights, role, certificate, revoked, token
  WrongKey = 9,      ///< a key or passphrase that does not open this
  Quota = 10,        ///< the tenant's quota or a floor
  TooNew = 11,       ///< written by a newer version, or a version we do not speak
  Unreachable = 12,  ///< name, route, refused port, lost connection
  Timeout = 13,      ///< a deadline passed
  Corrupt = 14,      ///< stored bytes that are not what was stored
  Protocol = 15,     ///< a peer that breaks the protocol
  Rollback = 16,     ///< a server older than our receipt
  Locked = 17,       ///< another run holds the lock
  Canceled = 18,     ///< stopped by a signal
  Fenced = 19,       ///< our epoch is over: somebody else owns the tenant
  Conflict = 20,     ///< the generation has moved: look again
  Limit = 21,        ///< a bound on lengths, counts or depth
  Unknown = 22,      ///< the outcome cannot be known (a write failed after the commit point was touched)
  Missing = 23,      ///< a commit names blobs that are not there; the message lists the first of them
};

std::string_view errc_name(Errc code);

/// A code and a sentence for a person. Secrets and file contents never enter it. Value type.
struct Error {
  Errc code = Errc::Io;
  std::string message;

  /// Puts what was being done in front: `restore snapshot 4f1a: open pack 9f3c: …`.
  Error with_context(std::string_view doing) && {
    message = std::string(doing) + ": " + message;
    return std::move(*this);
  }
};

/// `Error{code, text}` from errno: DiskFull, NotFound, Exists, Denied or Io, with the system's words at the end.
Error errno_error(int errno_value, std::string_view doing);

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  template <class U = T>
    requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, Result> &&
             !std::is_same_v<std::remove_cvref_t<U>, Error>)
  Result(U&& value) : inner_(std::forward<U>(value)) {}  // NOLINT: implicit on purpose, `return value;`
  Result(Error error) : inner_(tl::unexpected<Error>(std::move(error))) {}  // NOLINT

  bool has_value() const { return inner_.has_value(); }
  explicit operator bool() const { return has_value(); }
  T& operator*() & { return *inner_; }
  const T& operator*() const& { return *inner_; }
  T&& operator*() && { return std::move(*inner_); }
  T* operator->() { return &*inner_; }
  const T* operator->() const { return &*inner_; }
  T& value() & { return inner_.value(); }
  T&& value() && { return std::move(inner_.value()); }
  const Error& error() const& { return inner_.error(); }
  Error error() && { return std::move(inner_.error()); }
  Result context(std::string_view doing) && {
    if (!has_value()) return std::move(inner_.error()).with_context(doing);
    return std::move(*this);
  }

 private:
  tl::expected<T, Error> inner_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  Result() = default;
  Result(Error error) : inner_(tl::unexpected<Error>(std::move(error))) {}  // NOLINT
  bool has_value() const { return inner_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const& { return inner_.error(); }
  Error error() && { return std::move(inner_.error()); }
  Result context(std::string_view doing) && {
    if (!has_value()) return std::move(inner_.error()).with_context(doing);
    return std::move(*this);
  }

 private:
  tl::expected<void, Error> inner_;
};

using Status = Result<void>;

[[noreturn]] void assert_failed(const char* what, const char* file, int line);

}  // namespace holdfast

#define HF_CAT_(a, b) a##b
#define HF_CAT(a, b) HF_CAT_(a, b)

/// HF_TRY(Bytes tail, fs.read(...)): declares the value, or returns the error to our caller.
#define HF_TRY(decl, ...) HF_TRY_IMPL_(HF_CAT(hf_result_, __LINE__), return, decl, __VA_ARGS__)
#define HF_TRY_DO(...) HF_TRY_DO_IMPL_(HF_CAT(hf_result_, __LINE__), return, __VA_ARGS__)
/// The same inside coroutines.
#define HF_CO_TRY(decl, ...) HF_TRY_IMPL_(HF_CAT(hf_result_, __LINE__), co_return, decl, __VA_ARGS__)
#define HF_CO_TRY_DO(...) HF_TRY_DO_IMPL_(HF_CAT(hf_result_, __LINE__), co_return, __VA_ARGS__)

#define HF_TRY_IMPL_(name, ret, decl, ...) \
  auto name = (__VA_ARGS__);               \
  if (!name) ret std::move(name).error();  \
  decl = *std::move(name)
#define HF_TRY_DO_IMPL_(name, ret, ...)     \
  do {                                      \
    auto name = (__VA_ARGS__);              \
    if (!name) ret std::move(name).error(); \
  } while (false)

/// A bug of ours, never bad input: stops the program with file and line.
#define HF_ASSERT(condition) ((condition) ? void(0) : ::holdfast::assert_failed(#condition, __FILE__, __LINE__))
