#include "server/config/config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "server/config/data_dir.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::config {
namespace {

ServerConfig with_data_dir() {
  ServerConfig config;
  config.data_dir = "/srv/holdfast";
  return config;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

Error error_of(const std::string& text) {
  const auto config = decode(text, "server.toml");
  EXPECT_FALSE(config) << text;
  return config ? Error{} : config.error();
}

TEST(Config, WritesEveryOptionAndReadsItsOwnText) {
  ServerConfig config = with_data_dir();
  config.name = "vault-1";
  config.listen = "[2001:db8::1]:8700";
  config.public_address = "backup.example.org";
  config.log_level = "debug";
  config.log_format = "json";
  config.disk_threads = 3;
  config.certificate_days = 7;
  const std::string text = encode(config);
  const auto again = decode(text, "server.toml");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(encode(*again), text);
  EXPECT_EQ(again->level(), log::Level::Debug);
  EXPECT_EQ(again->format(), log::Format::Json);
  for (const char* option : {"data_dir", "listen", "public", "enroll_listen", "level", "format", "min_free_bytes",
                             "idle_seconds", "per_address"}) {
    EXPECT_NE(text.find(std::string("\n") + option + " = "), std::string::npos) << option;
  }
  // Every option has a comment, with its default.
  std::size_t options = 0, comments = 0;
  for (std::size_t at = 0; (at = text.find(" = ", at)) != std::string::npos; ++at) ++options;
  for (std::size_t at = 0; (at = text.find("\n# ", at)) != std::string::npos; ++at) ++comments;
  EXPECT_EQ(options, comments);
}

TEST(Config, TakesDefaultsForWhatIsLeftOut) {
  const auto config = decode("data_dir = \"/srv\"\n", "server.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->idle_seconds, 600u);
  EXPECT_EQ(config->level(), log::Level::Info);
}

TEST(Config, NamesLineAndNearestKeyOfAnUnknownOne) {
  const std::string text = encode(with_data_dir());
  const Error error = error_of(replaced(text, "enroll_listen =", "enrol_listen ="));
  EXPECT_EQ(error.code, Errc::Config);
  EXPECT_EQ(error.message.rfind("server.toml:", 0), 0u) << error.message;
  EXPECT_NE(error.message.find("'enroll_listen'"), std::string::npos) << error.message;
  EXPECT_EQ(error_of("data_dir = \"/s\"\nlisten = \"127.0.0.1:1\"\n[log]\nlevle = \"info\"\n").message,
            "server.toml:4: log.levle: unknown key; the nearest one is 'log.level'");
  EXPECT_EQ(error_of("data_dir = \"/s\"\nlisten = \"127.0.0.1:1\"\n[lgo]\nlevel = \"info\"\n").message,
            "server.toml:3: lgo: unknown key; the nearest one is 'log'");
  EXPECT_EQ(error_of("data_dir = \"/s\"\n[limitz]\nmax_connections = 1\n")
                .message.rfind("server.toml:2: limitz: unknown key", 0),
            0u);
}

TEST(Config, RefusesWrongTypesAndValues) {
  const std::string text = encode(with_data_dir());
  const std::pair<const char*, const char*> bad[] = {
      {"data_dir = \"/srv/holdfast\"", "data_dir = \"srv\""},
      {"data_dir = \"/srv/holdfast\"", "data_dir = 5"},
      {"name = \"holdfast\"", "name = \"Hold Fast\""},
      {"listen = \"127.0.0.1:8700\"", "listen = \"127.0.0.1\""},
      {"listen = \"127.0.0.1:8700\"", "listen = \"localhost:8700\""},
      {"listen = \"127.0.0.1:8700\"", "listen = \"::1:8700\""},
      {"listen = \"127.0.0.1:8700\"", "listen = \"127.0.0.1:99999\""},
      {"listen = \"127.0.0.1:8700\"", "listen = \"0.0.0.0:8700\""},  // and no public
      {"public = \"\"", "public = \"0.0.0.0\""},
      {"public = \"\"", "public = \"a b\""},
      {"public = \"\"", "public = \"$(reboot)\""},
      {"level = \"info\"", "level = \"loud\""},
      {"format = \"logfmt\"", "format = \"xml\""},
      {"max_connections = 2048", "max_connections = 0"},
      {"max_connections = 2048", "max_connections = -1"},
      {"max_connections = 2048", "max_connections = 1.5"},
      {"max_connections = 2048", "max_connections = \"2048\""},
      {"max_connections = 2048", "max_connections = 99999999999"},
      {"drain_seconds = 20", "drain_seconds = 21"},
      {"every_hours = 6", "every_hours = 169"},
      {"trash_days = 7", "trash_days = 0"},
      {"[log]", "log = 5\n[limits.log]"},
      {"[log]", "[[log]]"},
      {"[log]", "data_dir = \"/twice\"\n[log]"},
  };
  for (const auto& [from, to] : bad) {
    const Error error = error_of(replaced(text, from, to));
    EXPECT_EQ(error.code, Errc::Config) << to << ": " << error.message;
    EXPECT_EQ(error.message.rfind("server.toml:", 0), 0u) << error.message;
  }
  EXPECT_EQ(error_of("").code, Errc::Config);
}

TEST(Config, EndsOnHostileTextWithAnErrorOnly) {
  const std::string text = encode(with_data_dir());
  support::SeededRandom random(7);
  for (int i = 0; i < 300; ++i) {
    std::string bad = text.substr(0, random.below(text.size()));
    for (int flips = 0; flips < 3 && !bad.empty(); ++flips)
      bad[random.below(bad.size())] = static_cast<char>(random.below(256));
    (void)decode(bad, "server.toml");
  }
  (void)decode(std::string(100'000, '['), "server.toml");
  (void)decode("x = \"" + std::string(500'000, 'y') + "\"", "server.toml");
}

TEST(Address, KnowsWildcardsAndNumbers) {
  EXPECT_TRUE(parse_address("0.0.0.0:1")->wildcard());
  EXPECT_TRUE(parse_address("[::]:1")->wildcard());
  EXPECT_TRUE(parse_address("[0:0::0]:1")->wildcard());
  EXPECT_TRUE(parse_address(":1")->wildcard());
  EXPECT_TRUE(parse_address("*:1")->wildcard());
  EXPECT_FALSE(parse_address("127.0.0.1:1")->wildcard());
  EXPECT_EQ(parse_address("[2001:db8::1]:80")->text(), "[2001:db8::1]:80");
  EXPECT_FALSE(parse_address("host:1")->numeric());
  for (const char* bad :
       {"", "1.2.3.4", "1.2.3.4:", "[::1", "[::1]80", "::1:80", "1.2.3.4:x", "1.2.3.4:80x", "a b:1", "a/b:1"}) {
    EXPECT_FALSE(parse_address(bad)) << bad;
  }
  EXPECT_EQ(parse_public("backup.example.org")->port, 0);
  EXPECT_EQ(parse_public("backup.example.org:99")->port, 99);
  EXPECT_FALSE(parse_public(""));
}

TEST(Dialled, TakesThePublicNameAndTheRealPorts) {
  ServerConfig config = with_data_dir();
  EXPECT_EQ(dialled(config, "127.0.0.1:5000", "127.0.0.1:5001")->service, "127.0.0.1:5000");
  EXPECT_EQ(dialled(config, "127.0.0.1:5000", "127.0.0.1:5001")->enrolment, "127.0.0.1:5001");
  config.public_address = "backup.example.org";
  EXPECT_EQ(dialled(config, "0.0.0.0:5000", "0.0.0.0:5001")->service, "backup.example.org:5000");
  EXPECT_EQ(dialled(config, "0.0.0.0:5000", "0.0.0.0:5001")->enrolment, "backup.example.org:5001");
  config.public_address = "backup.example.org:443";
  config.enroll_public = "enrol.example.org:444";
  EXPECT_EQ(dialled(config, "0.0.0.0:5000", "0.0.0.0:5001")->service, "backup.example.org:443");
  EXPECT_EQ(dialled(config, "0.0.0.0:5000", "0.0.0.0:5001")->enrolment, "enrol.example.org:444");
}

class DataDirectory : public ::testing::Test {
 protected:
  InitOptions options() { return {directory / "data", "127.0.0.1:0", "", "", ""}; }
  std::string at(const std::string& name) { return options().data_dir + "/" + name; }
  Result<ServerConfig> make() { return init(fs::real(), clock, random, options()); }
  void flip(const std::string& file, std::size_t at_byte) {
    Bytes bytes = *fs::read_file(fs::real(), at(file), 1 << 20);
    bytes[at_byte] ^= 1;
    ASSERT_TRUE(fs::replace_file(fs::real(), at(file), bytes, 0600));
  }
  support::TemporaryDirectory directory;
  support::FakeClock clock;
  support::SeededRandom random;
};

TEST_F(DataDirectory, InitMakesEverythingPrivateAndLoadable) {
  const auto config = make();
  ASSERT_TRUE(config) << config.error().message;
  struct stat facts{};
  ASSERT_EQ(::stat(options().data_dir.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0700u);
  const auto entries = fs::real().list(options().data_dir);
  for (const fs::DirectoryEntry& entry : *entries) {
    ASSERT_EQ(::stat(at(entry.name).c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0077u, 0u) << entry.name;
  }
  EXPECT_TRUE(check_data_version(fs::real(), options().data_dir));
  EXPECT_TRUE(check_files(fs::real(), options().data_dir).empty());
  const auto loaded = load(fs::real(), at("server.toml"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(encode(*loaded), encode(*config));
  const auto keys = load_keys(fs::real(), clock, *loaded);
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_FALSE(keys->renewed);
  const auto facts_of_server = identity::inspect(keys->server.certificate_pem);
  ASSERT_TRUE(facts_of_server);
  EXPECT_EQ(facts_of_server->name.uri(), "holdfast://server/holdfast");
  EXPECT_TRUE(lock_data_dir(fs::real(), options().data_dir));
}

TEST_F(DataDirectory, InitRefusesWhatIsThereAndSaysWhatToDo) {
  ASSERT_TRUE(make());
  const auto again = make();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::Exists);
  EXPECT_NE(again.error().message.find("holdfastd --config"), std::string::npos);
  std::filesystem::remove(at("holdfast.version"));  // an init that was interrupted
  const auto half = make();
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().code, Errc::Exists);
  EXPECT_NE(half.error().message.find("not empty"), std::string::npos);
  EXPECT_EQ(check_data_version(fs::real(), options().data_dir).error().code, Errc::Config);
}

TEST_F(DataDirectory, InitTakesAnEmptyDirectoryOnlyWhenItIsPrivate) {
  std::filesystem::create_directory(options().data_dir);
  ASSERT_EQ(::chmod(options().data_dir.c_str(), 0755), 0);
  const auto open = make();
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, Errc::Denied);
  EXPECT_NE(open.error().message.find("chmod 0700 "), std::string::npos);
  ASSERT_EQ(::chmod(options().data_dir.c_str(), 0700), 0);
  EXPECT_TRUE(make());
}

TEST_F(DataDirectory, InitWantsAPublicNameBehindAWildcard) {
  InitOptions wanted = options();
  wanted.listen = "0.0.0.0:8700";
  const auto refused = init(fs::real(), clock, random, wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Usage);
  EXPECT_NE(refused.error().message.find("--public"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(options().data_dir));
  wanted.public_address = "backup.example.org";
  const auto made = init(fs::real(), clock, random, wanted);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->enroll_listen, "0.0.0.0:8701");
  wanted.data_dir = "relative";
  EXPECT_EQ(init(fs::real(), clock, random, wanted).error().code, Errc::Usage);
}

TEST_F(DataDirectory, SecretsThatOthersMayReadAreRefusedWithTheCommandThatMendsIt) {
  const ServerConfig config = *make();
  for (const char* secret : {"ca.key", "server.key", "receipt.key"}) {
    ASSERT_EQ(::chmod(at(secret).c_str(), 0640), 0);
    const auto keys = load_keys(fs::real(), clock, config);
    ASSERT_FALSE(keys) << secret;
    EXPECT_EQ(keys.error().code, Errc::Denied);
    EXPECT_NE(keys.error().message.find("chmod 0600 " + at(secret)), std::string::npos) << keys.error().message;
    ASSERT_EQ(::chmod(at(secret).c_str(), 0600), 0);
  }
  ASSERT_EQ(::chmod(options().data_dir.c_str(), 0750), 0);
  EXPECT_EQ(load_keys(fs::real(), clock, config).error().code, Errc::Denied);
}

TEST_F(DataDirectory, TheServerCertificateIsRenewedBeforeItEnds) {
  const ServerConfig config = *make();
  const std::string before = load_keys(fs::real(), clock, config)->server.certificate_pem;
  clock.advance(std::chrono::hours(24 * 59));
  EXPECT_FALSE(load_keys(fs::real(), clock, config)->renewed);
  clock.advance(std::chrono::hours(24 * 2));
  const auto renewed = load_keys(fs::real(), clock, config);
  ASSERT_TRUE(renewed) << renewed.error().message;
  EXPECT_TRUE(renewed->renewed);
  EXPECT_NE(renewed->server.certificate_pem, before);
  EXPECT_GT(identity::inspect(renewed->server.certificate_pem)->not_after, clock.wall() + std::chrono::hours(24 * 89));
  EXPECT_FALSE(load_keys(fs::real(), clock, config)->renewed);
  ServerConfig renamed = config;
  renamed.name = "other";
  EXPECT_EQ(identity::inspect(load_keys(fs::real(), clock, renamed)->server.certificate_pem)->name.name, "other");
}

TEST_F(DataDirectory, EveryFlippedByteOfEveryFileIsNamedAndNeverBelieved) {
  const ServerConfig config = *make();
  for (const std::string file : {"ca.key", "ca.pem", "server.key", "server.pem", "receipt.key", "holdfast.version"}) {
    const std::size_t size = fs::read_file(fs::real(), at(file), 1 << 20)->size();
    for (std::size_t i = 0; i < size; i += file == "holdfast.version" ? 1 : 7) {
      flip(file, i);
      const auto found = check_files(fs::real(), options().data_dir);
      ASSERT_EQ(found.size(), 1u) << file << " byte " << i;
      EXPECT_EQ(found[0].file, file);
      if (file == "holdfast.version")
        EXPECT_FALSE(check_data_version(fs::real(), options().data_dir));
      else
        EXPECT_FALSE(load_keys(fs::real(), clock, config)) << file << " byte " << i;
      flip(file, i);
    }
  }
  EXPECT_TRUE(check_files(fs::real(), options().data_dir).empty());
}

TEST_F(DataDirectory, ANewerFormatIsRefusedUntouched) {
  ASSERT_TRUE(make());
  ASSERT_TRUE(fs::replace_file(fs::real(), at("holdfast.version"), as_bytes("holdfast data 2\n"), 0600));
  const Status status = check_data_version(fs::real(), options().data_dir);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::TooNew);
}

TEST_F(DataDirectory, ASecondDaemonIsRefused) {
  ASSERT_TRUE(make());
  const auto first = lock_data_dir(fs::real(), options().data_dir);
  ASSERT_TRUE(first);
  const auto second = lock_data_dir(fs::real(), options().data_dir);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::Locked);
  EXPECT_NE(second.error().message.find("another holdfastd"), std::string::npos);
}

TEST(ReceiptKey, RefusesWhatIsCutOrNewer) {
  support::SeededRandom random;
  const crypto::Key seed = crypto::Key::random(random);
  const std::string text = encode_receipt_key(seed);
  const auto again = decode_receipt_key(text);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->equals(seed));
  for (std::size_t length = 0; length < text.size(); ++length) EXPECT_FALSE(decode_receipt_key(text.substr(0, length)));
  EXPECT_FALSE(decode_receipt_key(text + "x"));
  EXPECT_EQ(decode_receipt_key("holdfast receipt key 2 " + text.substr(23)).error().code, Errc::TooNew);
}

}  // namespace
}  // namespace holdfast::config
