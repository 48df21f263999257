#include "common/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <set>

namespace holdfast {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error{Errc::Usage, "odd"};
  return n / 2;
}
Result<int> quarter(int n) {
  HF_TRY(const int once, half(n).context("first half"));
  HF_TRY(const int twice, half(once).context("second half"));
  return twice;
}
Status check(int n) {
  HF_TRY_DO(quarter(n));
  return {};
}

TEST(Result, CarriesAValueOrAnErrorOutward) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_TRUE(check(8));
  const Result<int> odd = quarter(6);
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, Errc::Usage);
  EXPECT_EQ(odd.error().message, "second half: odd");
  EXPECT_EQ(check(3).error().message, "first half: odd");
}

TEST(Result, HoldsWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(7);
  ASSERT_TRUE(made);
  const std::unique_ptr<int> taken = std::move(*made);
  EXPECT_EQ(*taken, 7);
}

TEST(Errc, HasANameOfItsOwnForEveryCode) {
  std::set<std::string_view> names;
  for (std::uint16_t code = 1; code <= 23; ++code)
    EXPECT_TRUE(names.insert(errc_name(static_cast<Errc>(code))).second) << code;
  EXPECT_FALSE(names.contains("invalid"));
  EXPECT_EQ(errc_name(static_cast<Errc>(9999)), "invalid");
}

TEST(ErrnoError, TellsTheKindsOfFailureApart) {
  EXPECT_EQ(errno_error(ENOENT, "open").code, Errc::NotFound);
  EXPECT_EQ(errno_error(EEXIST, "open").code, Errc::Exists);
  EXPECT_EQ(errno_error(ENOSPC, "write").code, Errc::DiskFull);
  EXPECT_EQ(errno_error(EDQUOT, "write").code, Errc::DiskFull);
  EXPECT_EQ(errno_error(EACCES, "open").code, Errc::Denied);
  EXPECT_EQ(errno_error(EROFS, "open").code, Errc::Denied);
  EXPECT_EQ(errno_error(EIO, "read").code, Errc::Io);
  EXPECT_EQ(errno_error(EIO, "read 'x'").message, "read 'x': Input/output error");
}

}  // namespace
}  // namespace holdfast
