#include <gtest/gtest.h>

#include "common/identity/identity.h"

namespace holdfast::identity {
namespace {

TEST(Name, HasOneUriPerRole) {
  EXPECT_EQ((Name{Role::Server, "", "vault"}).uri(), "holdfast://server/vault");
  EXPECT_EQ((Name{Role::Operator, "", "alice"}).uri(), "holdfast://operator/alice");
  EXPECT_EQ((Name{Role::Client, "acme", "web-1"}).uri(), "holdfast://acme/web-1");
}

TEST(Name, ComesBackFromItsUri) {
  for (const Name& name : {Name{Role::Server, "", "vault"}, Name{Role::Operator, "", "alice"},
                           Name{Role::Client, "acme", "web-1"}, Name{Role::Client, "a", "0._-"}}) {
    const Result<Name> back = parse_uri(name.uri());
    ASSERT_TRUE(back) << name.uri();
    EXPECT_EQ(*back, name);
  }
}

TEST(Name, RefusesUrisThatAreNotOurs) {
  for (const char* bad : {"",
                          "holdfast://",
                          "holdfast://acme",
                          "holdfast:///web",
                          "holdfast://acme/",
                          "holdfast://acme/web/x",
                          "holdfast://acme/web?x",
                          "holdfast://acme/web#x",
                          "holdfast://acme:1/web",
                          "holdfast://u@acme/web",
                          "HOLDFAST://acme/web",
                          "https://acme/web",
                          "holdfast:/acme/web",
                          " holdfast://acme/web",
                          "holdfast://acme/web ",
                          "holdfast://acme/../x",
                          "holdfast://acme/.web",
                          "holdfast://-acme/web",
                          "holdfast://Acme/web",
                          "holdfast://acme/w\xC3\xA4"}) {
    const Result<Name> name = parse_uri(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().code, Errc::Usage);
  }
  EXPECT_FALSE(parse_uri(std::string_view("holdfast://acme/we\0b", 20)));
}

TEST(Name, KeepsItsAlphabetAndLength) {
  EXPECT_TRUE(valid_name(std::string(63, 'a')));
  EXPECT_FALSE(valid_name(std::string(64, 'a')));
  EXPECT_FALSE(valid_name(""));
  for (int c = 0; c < 256; ++c) {
    const std::string text = {'a', static_cast<char>(c)};
    const bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    EXPECT_EQ(valid_name(text), ok) << c;
    EXPECT_EQ(valid_name(text.substr(1)), ok && c != '.' && c != '_' && c != '-') << c;
  }
}

TEST(ClientName, IsTenantSlashClient) {
  EXPECT_EQ(parse_client_name("acme/web")->uri(), "holdfast://acme/web");
  for (const char* bad : {"acme", "acme/", "/web", "acme/web/x", "server/web", "operator/web", "Acme/web", ""}) {
    const Result<Name> name = parse_client_name(bad);
    ASSERT_FALSE(name) << bad;
    EXPECT_EQ(name.error().code, Errc::Usage);
  }
}

}  // namespace
}  // namespace holdfast::identity
