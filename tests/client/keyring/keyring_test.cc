#include "client/keyring/keyring.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "client/keyring/keyring_codec.h"
#include "client/keyring/text_file.h"
#include "common/crypto/hash.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/support/faulty_fs.h"
#include "tests/support/mem_fs.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::keyring {
namespace {

using holdfast::testing::read_vectors;
using holdfast::testing::VectorCase;

constexpr char kPath[] = "/keys";

template <class IdType>
IdType filled(std::uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
}
crypto::Key key_of(std::uint8_t byte) { return crypto::Key(ByteSpan(filled<Digest>(byte).bytes)); }

Kit sample_kit() { return Kit{crypto::SigningKey(key_of(1)), crypto::WrapKeyPair(key_of(2)), key_of(3)}; }

Keyring sample_client() {
  Keyring k;
  k.name = {identity::Role::Client, "acme", "db1"};
  k.tls = {"TLS KEY", "TLS CERTIFICATE"};
  k.ca_pem = "CA";
  k.service = "backup.example:7443";
  k.receipt_key = filled<PublicKey>(0x51);
  k.tenant = filled<TenantId>(0xa0);
  k.client = filled<ClientId>(0xc0);
  k.domain = filled<DomainId>(0xd0);
  k.domain_epoch = 7;
  k.signing.emplace(key_of(0x11));
  k.certificate = Bytes(100, 0x22);
  k.domain_key.emplace(key_of(0x33));
  k.read.emplace(key_of(0x44));
  k.recipients.push_back({filled<PublicKey>(0x55), key_of(0x56), "recovery"});
  k.recipients.push_back({filled<PublicKey>(0x57), key_of(0x58), "read"});
  k.root = filled<PublicKey>(0x61);
  k.plan = "30d";
  return k;
}

Keyring sample_operator() {
  Keyring k;
  k.name = {identity::Role::Operator, "", "anna"};
  k.tls = {"TLS KEY", "TLS CERTIFICATE"};
  k.ca_pem = "CA";
  k.service = "backup.example:7443";
  k.receipt_key = filled<PublicKey>(0x51);
  return k;
}

bool same_kit(const Kit& a, const Kit& b) {
  return a.root.seed().equals(b.root.seed()) && a.recovery.private_key().equals(b.recovery.private_key()) &&
         a.tenant_secret.equals(b.tenant_secret);
}

void put(fs::FileSystem& fs, ByteSpan bytes) { ASSERT_TRUE(fs::replace_file(fs, kPath, bytes, 0600)); }
void put(fs::FileSystem& fs, const std::string& text) { put(fs, as_bytes(text)); }
std::string text_of(fs::FileSystem& fs, const std::string& path = kPath) {
  return std::string(as_text(*fs::read_file(fs, path, 1u << 20)));
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// ---- kit ----

TEST(Kit, ComesBackAsItWasWritten) {
  support::MemFs fs;
  support::SeededRandom random;
  const Kit kit = make_kit(random);
  ASSERT_TRUE(write_kit(fs, kPath, kit, {}, random));
  const Result<Kit> read = read_kit(fs, kPath, {});
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(same_kit(*read, kit));
}

TEST(Kit, IsTextThatSaysWhatItIsAndWhereToKeepIt) {
  support::MemFs fs;
  support::SeededRandom random;
  ASSERT_TRUE(write_kit(fs, kPath, sample_kit(), {}, random));
  const std::string text = text_of(fs);
  EXPECT_TRUE(text.starts_with("HOLDFAST KIT 1\n#"));
  EXPECT_NE(text.find("off line"), std::string::npos);
  for (const char c : text) EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 0x7f));
}

TEST(Kit, IsNeverOverwritten) {
  support::MemFs fs;
  support::SeededRandom random;
  put(fs, "something");
  EXPECT_EQ(write_kit(fs, kPath, sample_kit(), {}, random).error().code, Errc::Exists);
  EXPECT_EQ(text_of(fs), "something");
}

TEST(Kit, UnderAPassphraseOpensWithItAlone) {
  support::MemFs fs;
  support::SeededRandom random;
  ASSERT_TRUE(write_kit(fs, kPath, sample_kit(), as_bytes("correct horse"), random));
  const Result<Kit> read = read_kit(fs, kPath, as_bytes("correct horse"));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(same_kit(*read, sample_kit()));
  EXPECT_EQ(read_kit(fs, kPath, as_bytes("wrong horse")).error().code, Errc::WrongKey);
  const Result<Kit> without = read_kit(fs, kPath, {});
  EXPECT_EQ(without.error().code, Errc::WrongKey);
  EXPECT_NE(without.error().message.find("passphrase"), std::string::npos);
}

TEST(Kit, SurvivesMailAndEditors) {
  support::MemFs fs;
  support::SeededRandom random;
  ASSERT_TRUE(write_kit(fs, kPath, sample_kit(), {}, random));
  std::string text = text_of(fs);
  std::string mangled;
  for (const char c : text) mangled += c == '\n' ? std::string("  \r\n\n") : std::string(1, c);
  put(fs, mangled + "# printed on Monday\n");
  const Result<Kit> read = read_kit(fs, kPath, {});
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(same_kit(*read, sample_kit()));
}

TEST(Kit, WithAChangedOrMissingCharacterIsRefused) {
  support::MemFs fs;
  support::SeededRandom random;
  ASSERT_TRUE(write_kit(fs, kPath, sample_kit(), {}, random));
  const std::string text = text_of(fs);
  const std::size_t start = text.rfind('#');
  for (std::size_t i = text.find('\n', start) + 1; i + 1 < text.size(); ++i) {
    std::string changed = text;
    changed[i] = changed[i] == 'a' ? 'b' : 'a';
    put(fs, changed);
    EXPECT_FALSE(read_kit(fs, kPath, {})) << "character " << i;
    put(fs, text.substr(0, i));
    EXPECT_FALSE(read_kit(fs, kPath, {})) << "cut to " << i;
  }
}

TEST(Kit, OfALaterVersionOrAnotherKindIsToldApart) {
  support::MemFs fs;
  support::SeededRandom random;
  ASSERT_TRUE(write_kit(fs, kPath, sample_kit(), {}, random));
  const std::string text = text_of(fs);
  put(fs, replaced(text, "KIT 1", "KIT 2"));
  EXPECT_EQ(read_kit(fs, kPath, {}).error().code, Errc::TooNew);
  put(fs, replaced(text, "KIT 1", "RECOVERY 1"));
  EXPECT_EQ(read_kit(fs, kPath, {}).error().code, Errc::Corrupt);
  EXPECT_EQ(read_recovery(fs, kPath, {}).error().code, Errc::Corrupt);  // the checksum covers the first line
  put(fs, std::string(kMaxTextFileBytes + 1, 'A'));
  EXPECT_EQ(read_kit(fs, kPath, {}).error().code, Errc::Limit);
  EXPECT_EQ(read_kit(fs, "/nowhere", {}).error().code, Errc::NotFound);
}

TEST(Kit, ReadsTheVectors) {
  for (const VectorCase& c : read_vectors("keyring/good.txt")) {
    support::MemFs fs;
    put(fs, c["file"]);
    const std::string kind = c.text("kind");
    const Bytes passphrase = c["passphrase"];
    if (kind == "kit") {
      const Result<Kit> read = read_kit(fs, kPath, passphrase);
      ASSERT_TRUE(read.has_value()) << read.error().message;
      EXPECT_TRUE(same_kit(*read, sample_kit()));
    } else if (kind == "recovery") {
      const Result<RecoveryKey> read = read_recovery(fs, kPath, passphrase);
      ASSERT_TRUE(read.has_value()) << read.error().message;
      EXPECT_TRUE(read->recovery.private_key().equals(key_of(2)));
      EXPECT_EQ(read->root, crypto::SigningKey(key_of(1)).public_key());
    } else {
      const Keyring expected = kind == "client" ? sample_client() : sample_operator();
      EXPECT_EQ(encode_keyring(expected), c["file"]);
      EXPECT_TRUE(read_keyring(fs, kPath).has_value());
    }
  }
}

TEST(Kit, RefusesTheBadVectors) {
  for (const VectorCase& c : read_vectors("keyring/bad.txt")) {
    support::MemFs fs;
    put(fs, c["file"]);
    const Errc code = c.text("kind") == "kit" ? read_kit(fs, kPath, c["passphrase"]).error().code
                                              : read_keyring(fs, kPath).error().code;
    EXPECT_EQ(static_cast<std::uint64_t>(code), c.number("errc")) << as_text(c["file"]);
  }
}

// ---- recovery file ----

TEST(RecoveryFile, HoldsWhatARestoreNeedsAndNoSigningKey) {
  support::MemFs fs;
  support::SeededRandom random;
  const Kit kit = make_kit(random);
  ASSERT_TRUE(write_recovery(fs, kPath, recovery_of(kit), {}, random));
  const Result<RecoveryKey> read = read_recovery(fs, kPath, {});
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(read->recovery.private_key().equals(kit.recovery.private_key()));
  EXPECT_TRUE(read->tenant_secret.equals(kit.tenant_secret));
  EXPECT_EQ(read->root, kit.root.public_key());
  const Bytes file = to_bytes(as_bytes(text_of(fs)));
  const Result<TextFile> decoded = decode_text_file(kRecoveryKind, file);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(as_text(decoded->payload).find(as_text(kit.root.seed().span())), std::string::npos);
  EXPECT_NE(as_text(decoded->payload).find(as_text(kit.tenant_secret.span())), std::string::npos);
  EXPECT_EQ(read_kit(fs, kPath, {}).error().code, Errc::Corrupt);
}

TEST(RecoveryFile, MayBeAKit) {
  support::MemFs fs;
  support::SeededRandom random;
  ASSERT_TRUE(write_kit(fs, kPath, sample_kit(), {}, random));
  const Result<RecoveryKey> read = read_recovery(fs, kPath, {});
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(read->recovery.private_key().equals(key_of(2)));
  EXPECT_EQ(read->root, sample_kit().root.public_key());
}

// ---- keyring ----

TEST(KeyringFile, GivesBackEverythingOfAClient) {
  support::MemFs fs;
  const Keyring k = sample_client();
  ASSERT_TRUE(write_keyring(fs, kPath, k));
  const Result<Keyring> read = read_keyring(fs, kPath);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->name, k.name);
  EXPECT_EQ(read->tls.key_pem, k.tls.key_pem);
  EXPECT_EQ(read->service, k.service);
  EXPECT_EQ(read->domain_epoch, 7u);
  ASSERT_TRUE(read->signing && read->domain_key && read->read);
  EXPECT_EQ(read->signing->public_key(), k.signing->public_key());
  EXPECT_TRUE(read->domain_key->equals(*k.domain_key));
  EXPECT_EQ(read->read->recipient(), k.read->recipient());
  ASSERT_EQ(read->recipients.size(), 2u);
  EXPECT_EQ(read->recipients[0].label, "recovery");
  EXPECT_TRUE(read->recipients[1].wrap_secret.equals(k.recipients[1].wrap_secret));
  EXPECT_EQ(encode_keyring(*read), encode_keyring(k));
}

TEST(KeyringFile, OfAWriteOnlyClientHasNoReadKey) {
  support::MemFs fs;
  Keyring k = sample_client();
  k.read.reset();
  k.recipients.pop_back();
  ASSERT_TRUE(write_keyring(fs, kPath, k));
  const Result<Keyring> read = read_keyring(fs, kPath);
  ASSERT_TRUE(read.has_value());
  EXPECT_FALSE(read->read);
  EXPECT_TRUE(read->signing);
}

TEST(KeyringFile, OfAnOperatorHasNoClientParts) {
  support::MemFs fs;
  ASSERT_TRUE(write_keyring(fs, kPath, sample_operator()));
  const Result<Keyring> read = read_keyring(fs, kPath);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->name.role, identity::Role::Operator);
  EXPECT_EQ(read->name.name, "anna");
  EXPECT_FALSE(read->signing || read->domain_key || read->read);
  EXPECT_TRUE(read->tenant.is_zero() && read->recipients.empty());
}

TEST(KeyringFile, IsRefusedWhenCutOrFlippedAnywhere) {
  const Bytes bytes = encode_keyring(sample_client());
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(decode_keyring(ByteSpan(bytes).first(n))) << "cut to " << n;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes flipped = bytes;
    flipped[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
    EXPECT_FALSE(decode_keyring(flipped)) << "byte " << i;
  }
}

TEST(KeyringFile, SurvivesHostileFieldsBehindARightChecksum) {
  const Bytes bytes = encode_keyring(sample_client());
  support::SeededRandom random(14);
  for (int i = 0; i < 3000; ++i) {
    Bytes hostile(bytes.begin(), bytes.end() - Digest::kBytes);
    for (int j = 0; j < 3; ++j)
      hostile[10 + random.below(hostile.size() - 10)] = static_cast<std::uint8_t>(random.below(256));
    const Digest sum = crypto::digest(hostile);
    hostile.insert(hostile.end(), sum.bytes.begin(), sum.bytes.end());
    const Result<Keyring> read = decode_keyring(hostile);
    if (read) {
      EXPECT_EQ(encode_keyring(*read), hostile);
    }
  }
}

TEST(KeyringFile, ThatCouldNotBeReadBackIsNotWritten) {
  support::MemFs fs;
  ASSERT_TRUE(write_keyring(fs, kPath, sample_client()));
  Keyring k = sample_client();
  k.ca_pem.assign(100'000, 'x');
  EXPECT_FALSE(write_keyring(fs, kPath, k));
  EXPECT_TRUE(read_keyring(fs, kPath).has_value());
}

TEST(KeyringFile, IsTheOldOrTheNewWhereverItCrashes) {
  Keyring renewed = sample_client();
  renewed.tls.certificate_pem = "RENEWED";
  bool done = false;
  for (std::uint64_t step = 0; !done; ++step) {
    support::FaultyFs fs;
    ASSERT_TRUE(write_keyring(fs, kPath, sample_client()));
    fs.crash_after(step);
    const Status written = write_keyring(fs, kPath, renewed);
    done = !fs.crashed();
    fs.reboot();
    const Result<Keyring> read = read_keyring(fs, kPath);
    ASSERT_TRUE(read.has_value()) << "step " << step;
    EXPECT_TRUE(!written || read->tls.certificate_pem == "RENEWED");
  }
}

// ---- modes, on the real file system ----

struct RealFile : ::testing::Test {
  support::TemporaryDirectory directory;
  std::string path = directory / "keys";
  support::SeededRandom random;

  void set_mode(unsigned mode) { std::filesystem::permissions(path, static_cast<std::filesystem::perms>(mode)); }
  unsigned mode() { return static_cast<unsigned>(std::filesystem::status(path).permissions()); }
};
using KeyFileModes = RealFile;

TEST_F(KeyFileModes, AreTightFromTheStart) {
  ASSERT_TRUE(write_keyring(fs::real(), path, sample_client()));
  EXPECT_EQ(mode(), 0600u);
  EXPECT_TRUE(read_keyring(fs::real(), path).has_value());
  set_mode(0400);
  EXPECT_TRUE(read_keyring(fs::real(), path).has_value());
}

TEST_F(KeyFileModes, WiderThan0600AreRefusedWithTheRemedy) {
  ASSERT_TRUE(write_keyring(fs::real(), path, sample_client()));
  for (const unsigned wide : {0640u, 0604u, 0660u, 0610u, 0700u}) {
    set_mode(wide);
    const Result<Keyring> read = read_keyring(fs::real(), path);
    ASSERT_FALSE(read.has_value()) << wide;
    EXPECT_EQ(read.error().code, Errc::Denied);
    EXPECT_NE(read.error().message.find("chmod 600 " + path), std::string::npos) << read.error().message;
  }
}

TEST_F(KeyFileModes, OfAnOpenKitCount) {
  ASSERT_TRUE(write_kit(fs::real(), path, sample_kit(), {}, random));
  EXPECT_EQ(mode(), 0600u);
  set_mode(0644);
  EXPECT_EQ(read_kit(fs::real(), path, {}).error().code, Errc::Denied);
  EXPECT_EQ(read_recovery(fs::real(), path, {}).error().code, Errc::Denied);
}

TEST_F(KeyFileModes, OfAKitUnderAPassphraseDoNot) {
  // It may lie on a stick whose file system knows no modes.
  ASSERT_TRUE(fs::create_file(fs::real(), path, read_vectors("keyring/good.txt")[1]["file"], 0600));
  set_mode(0755);
  const Result<Kit> read = read_kit(fs::real(), path, read_vectors("keyring/good.txt")[1]["passphrase"]);
  EXPECT_TRUE(read.has_value()) << read.error().message;
}

TEST_F(KeyFileModes, OfAPassphraseFileCount) {
  ASSERT_TRUE(fs::create_file(fs::real(), path, as_bytes("two words\r\n\n"), 0600));
  const Result<Bytes> read = read_passphrase(fs::real(), path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(as_text(*read), "two words");
  for (const unsigned wide : {0640u, 0604u, 0644u}) {
    set_mode(wide);
    const Result<Bytes> refused = read_passphrase(fs::real(), path);
    ASSERT_FALSE(refused) << wide;
    EXPECT_EQ(refused.error().code, Errc::Denied);
    EXPECT_NE(refused.error().message.find("chmod 600 " + path), std::string::npos) << refused.error().message;
  }
}

TEST_F(KeyFileModes, AnEmptyPassphraseFileProtectsNothing) {
  for (const std::string_view text : {"", "\n", "\r\n"}) {
    ASSERT_TRUE(fs::replace_file(fs::real(), path, as_bytes(text), 0600));
    const Result<Bytes> refused = read_passphrase(fs::real(), path);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::Usage);
  }
}

// ---- derived keys ----

TEST(DerivedKeys, AreThoseOfTheFormat) {
  // BLAKE2b-256(key, length of label ‖ label ‖ context), by another program.
  for (const VectorCase& c : read_vectors("keyring/derived.txt")) {
    const DomainKeys keys{crypto::Key(c["domain"])};
    EXPECT_EQ(to_bytes(keys.cut.span()), c["cut"]);
    EXPECT_EQ(to_bytes(keys.fingerprint.span()), c["fingerprint"]);
    EXPECT_EQ(to_bytes(keys.blob.span()), c["blob"]);
    EXPECT_EQ(to_bytes(keys.image.span()), c["image"]);
    EXPECT_EQ(to_bytes(keys.state.span()), c["state"]);
    const crypto::Key secret =
        wrap_secret(crypto::Key(c["tenant_secret"]), c.id<ClientId>("client"), c.id<RecipientId>("recipient"));
    EXPECT_EQ(to_bytes(secret.span()), c["wrap_secret"]);
  }
}

}  // namespace
}  // namespace holdfast::keyring
