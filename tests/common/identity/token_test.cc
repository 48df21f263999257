#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "common/identity/identity.h"

namespace holdfast::identity {
namespace {

Token example() {
  Token token;
  token.service = "vault.example:7411";
  token.enrolment = "[2001:db8::1]:7412";
  for (std::size_t i = 0; i < 32; ++i) {
    token.ca_fingerprint.bytes[i] = static_cast<std::uint8_t>(i);
    token.receipt_key.bytes[i] = static_cast<std::uint8_t>(0x40 + i);
    token.secret.push_back(static_cast<std::uint8_t>(0x80 + i));
  }
  token.name = {Role::Client, "acme", "web"};
  token.expires_ns = 1'893'456'000'000'000'000;
  return token;
}

bool same(const Token& a, const Token& b) {
  return a.service == b.service && a.enrolment == b.enrolment && a.ca_fingerprint == b.ca_fingerprint &&
         a.receipt_key == b.receipt_key && a.name == b.name && a.secret == b.secret && a.expires_ns == b.expires_ns;
}

/// A token whose checksum is right, whatever its body says.
std::string with_checksum(ByteSpan body) {
  std::array<std::uint8_t, 32> digest{};
  EVP_Digest(body.data(), body.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  Bytes all = to_bytes(body);
  all.insert(all.end(), digest.begin(), digest.begin() + 4);
  return "hf1." + to_base64(all);
}

Bytes body_of(const std::string& token) {
  Bytes all = *from_base64(token.substr(4));
  all.resize(all.size() - 4);
  return all;
}

TEST(Token, ComesBackAsItWas) {
  Token token = example();
  EXPECT_TRUE(same(*decode_token(encode_token(token)), token));
  token.name = {Role::Operator, "", "alice"};
  token.service = std::string(249, 'a') + ":65535";
  token.name.name = std::string(63, 'z');
  token.expires_ns = 0;
  EXPECT_TRUE(same(*decode_token(encode_token(token)), token));
}

TEST(Token, ReadsItsVectors) {
  std::ifstream file(std::string(HF_SOURCE_DIR) + "/tests/vectors/token/tokens.txt");
  ASSERT_TRUE(file);
  int seen = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    ++seen;
    std::istringstream in(line);
    std::string outcome, text;
    in >> outcome >> text;
    const Result<Token> token = decode_token(text);
    if (outcome == "example") {
      ASSERT_TRUE(token) << line;
      EXPECT_TRUE(same(*token, example()));
      EXPECT_EQ(encode_token(example()), text);
    } else {
      ASSERT_FALSE(token) << line;
      EXPECT_EQ(errc_name(token.error().code), outcome) << line;
    }
  }
  EXPECT_GE(seen, 8);
}

TEST(Token, NoticesEveryCutAndEveryMistypedCharacter) {
  const std::string text = encode_token(example());
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(decode_token(text.substr(0, size))) << size;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'A', 'b', '0', '-', '.', ' ', '\n', '\0', '='}) {
      if (text[i] == c) continue;
      std::string bent = text;
      bent[i] = c;
      EXPECT_FALSE(decode_token(bent)) << i;
    }
    EXPECT_FALSE(decode_token(text.substr(0, i) + text.substr(i + 1))) << i;
  }
  EXPECT_FALSE(decode_token(text + "A"));
  EXPECT_FALSE(decode_token(text + "\n"));
  EXPECT_EQ(decode_token(std::string(1u << 20, 'A')).error().code, Errc::Usage);
}

TEST(Token, ReadsNothingOutOfABentBodyWithAGoodChecksum) {
  const Bytes body = body_of(encode_token(example()));
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(decode_token(with_checksum(ByteSpan(body).first(size)))) << size;
  }
  for (std::size_t i = 0; i < body.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      Bytes bent = body;
      bent[i] ^= static_cast<std::uint8_t>(flip);
      const std::string text = with_checksum(bent);
      const Result<Token> token = decode_token(text);
      if (token) {
        EXPECT_EQ(encode_token(*token), text);  // one text per token
      }
    }
  }
}

TEST(Token, RefusesAddressesThatAreNone) {
  const Bytes body = body_of(encode_token(example()));
  const std::string service = "vault.example:7411";
  for (const std::string bad : {"vault.example:0000", "vault.example:074x", "vault example:7411", "vault.example:7;ls",
                                "vault.example.7411", "vault\x1b[2J.e:7411!"}) {
    Bytes bent = body;
    ASSERT_LE(bad.size(), service.size() + 1);
    std::copy_n(bad.begin(), service.size(), bent.begin() + 1);
    EXPECT_FALSE(decode_token(with_checksum(bent))) << bad;
  }
}

TEST(Token, SaysWhatToDo) {
  const Result<Token> token = decode_token("hf1.abc");
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code, Errc::Usage);
  EXPECT_NE(token.error().message.find("copy the whole text"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::identity
