#include "server/config/data_dir.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>

#include "common/crypto/hash.h"

namespace holdfast::config {
namespace {

constexpr unsigned kSecretMode = 0600;
constexpr unsigned kDirectoryMode = 0700;
constexpr std::uint64_t kMaxKeyBytes = 64u << 10;

constexpr std::string_view kVersionFile = "holdfast.version";
constexpr std::string_view kVersionLabel = "holdfast data ";
constexpr std::string_view kReceiptLabel = "holdfast receipt key ";
constexpr std::string_view kDigestLabel = "holdfast digest ";
constexpr std::string_view kCaKey = "ca.key", kCaCertificate = "ca.pem";
constexpr std::string_view kServerKey = "server.key", kServerCertificate = "server.pem";
constexpr std::string_view kReceiptKey = "receipt.key";

/// "LABEL<number>" up to the end or a blank; 0 when it is not that.
unsigned version_after(std::string_view text, std::string_view label, std::string_view* rest) {
  if (!text.starts_with(label)) return 0;
  text.remove_prefix(label.size());
  unsigned version = 0;
  const auto [at, failure] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (failure != std::errc{}) return 0;
  *rest = text.substr(static_cast<std::size_t>(at - text.data()));
  return version;
}

std::string receipt_check(const crypto::Key& seed) {
  return to_hex(ByteSpan(crypto::digest({as_bytes(kReceiptLabel), seed.span()}).bytes).first(8));
}

void wipe_text(std::string& text) { crypto::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}); }

/// FORMAT.md §2: PEM readers skip what stands outside BEGIN and END, so a file can carry the digest of its own text.
std::string with_digest(const std::string& pem) {
  return pem + std::string(kDigestLabel) + crypto::digest(as_bytes(pem)).hex() + "\n";
}

Result<std::string> read_pem(fs::FileSystem& fs, const std::string& path) {
  HF_TRY(Bytes bytes, fs::read_file(fs, path, kMaxKeyBytes));
  std::string text(as_text(bytes));
  crypto::wipe(bytes);
  const std::size_t at = text.rfind(kDigestLabel);
  const std::string pem = text.substr(0, at == std::string::npos ? 0 : at);
  const bool whole = text == with_digest(pem);
  wipe_text(text);
  if (!whole) return Error{Errc::Corrupt, "'" + printable(path) + "' is not what was written: put back a copy of it"};
  return pem;
}

Status write_secret(fs::FileSystem& fs, const std::string& path, std::string_view text) {
  return fs::create_file(fs, path, as_bytes(text), kSecretMode);
}

Result<crypto::Key> read_receipt_key(fs::FileSystem& fs, const std::string& path) {
  HF_TRY(Bytes bytes, fs::read_file(fs, path, kMaxKeyBytes));
  Result<crypto::Key> seed = decode_receipt_key(as_text(bytes));
  crypto::wipe(bytes);
  return std::move(seed).context("read '" + printable(path) + "'");
}

Result<std::string> certify_server(const identity::KeyAndCertificate& ca, const std::string& key_pem,
                                   const std::string& name, const Clock& clock) {
  identity::Name server;
  server.role = identity::Role::Server;
  server.name = name;
  HF_TRY(const std::string request, identity::make_request_pem(key_pem, server));
  return identity::certify(ca, request, server, clock, kServerCertificateLifetime);
}

Status write_keys(fs::FileSystem& fs, const Clock& clock, Random& random, const ServerConfig& config) {
  const auto at = [&](std::string_view name) { return fs::join(config.data_dir, name); };
  HF_TRY(const identity::KeyAndCertificate ca, identity::make_ca(clock, "Holdfast CA " + config.name));
  HF_TRY(const std::string key, identity::make_key_pem());
  HF_TRY(const std::string certificate, certify_server(ca, key, config.name, clock));
  const crypto::SigningKey receipt = crypto::SigningKey::generate(random);
  std::string receipt_text = encode_receipt_key(receipt.seed());
  HF_TRY_DO(write_secret(fs, at(kCaKey), with_digest(ca.key_pem)));
  HF_TRY_DO(write_secret(fs, at(kCaCertificate), with_digest(ca.certificate_pem)));
  HF_TRY_DO(write_secret(fs, at(kServerKey), with_digest(key)));
  HF_TRY_DO(write_secret(fs, at(kServerCertificate), with_digest(certificate)));
  HF_TRY_DO(write_secret(fs, at(kReceiptKey), receipt_text));
  return {};
}

/// The directory exists afterwards, private and empty. Errors: Exists with what to do.
Status claim_directory(fs::FileSystem& fs, const std::string& directory) {
  const Result<fs::DirectoryEntry> there = fs.stat(directory);
  if (!there) {
    if (there.error().code != Errc::NotFound) return there.error();
    HF_TRY_DO(fs::make_directories(fs, fs::parent(directory), 0755));
    HF_TRY_DO(fs.make_directory(directory, kDirectoryMode));
    return fs.sync_directory(fs::parent(directory));
  }
  if (there->kind != fs::FileKind::Directory)
    return Error{Errc::Exists, "'" + printable(directory) + "' is there and is not a directory"};
  HF_TRY_DO(check_private(directory, kDirectoryMode));
  HF_TRY(const std::vector<fs::DirectoryEntry> inside, fs.list(directory));
  for (const fs::DirectoryEntry& entry : inside) {
    if (entry.name == kVersionFile) {
      return Error{Errc::Exists, "'" + printable(directory) +
                                     "' is a Holdfast data directory already: start it with `holdfastd --config " +
                                     printable(fs::join(directory, kConfigFile)) + "`, or choose another directory"};
    }
  }
  if (!inside.empty()) {
    return Error{Errc::Exists, "'" + printable(directory) + "' is not empty (it holds '" + printable(inside[0].name) +
                                   "'): remove what an interrupted init left, or choose another directory"};
  }
  return {};
}

Result<ServerConfig> config_of(const InitOptions& options) {
  ServerConfig config;
  if (options.data_dir.empty() || options.data_dir[0] != '/') {
    return Error{Errc::Usage, "--data-dir must be an absolute path, not '" + printable(options.data_dir) + "'"};
  }
  config.data_dir = options.data_dir;
  if (!options.name.empty()) config.name = options.name;
  HF_TRY(const Address listen, parse_address(options.listen).context("--listen"));
  config.listen = listen.text();
  if (listen.wildcard() && options.public_address.empty()) {
    return Error{Errc::Usage, "--listen " + printable(options.listen) +
                                  " takes every address, so clients cannot be told which one to dial: "
                                  "say --public HOST[:PORT] with the name or address that they reach"};
  }
  config.public_address = options.public_address;
  Address enroll = listen;
  if (!options.enroll_listen.empty()) {
    HF_TRY(enroll, parse_address(options.enroll_listen).context("--enroll-listen"));
  } else if (listen.port == 65535) {
    return Error{Errc::Usage, "no port after 65535 for enrolment: say --enroll-listen ADDR:PORT"};
  } else if (listen.port != 0) {
    ++enroll.port;
  }
  config.enroll_listen = enroll.text();
  // The same checks that a start makes: what init writes must be readable.
  Result<ServerConfig> checked = decode(encode(config), kConfigFile);
  if (!checked) return Error{Errc::Usage, checked.error().message};
  return checked;
}

}  // namespace

Result<ServerConfig> init(fs::FileSystem& fs, const Clock& clock, Random& random, const InitOptions& options) {
  HF_TRY(const ServerConfig config, config_of(options));
  const std::string doing = "make the data directory '" + printable(config.data_dir) + "'";
  HF_TRY_DO(claim_directory(fs, config.data_dir).context(doing));
  HF_TRY_DO(write_keys(fs, clock, random, config).context(doing));
  HF_TRY_DO(fs::make_directories(fs, fs::join(config.data_dir, "tenants"), kDirectoryMode).context(doing));
  HF_TRY_DO(fs::make_directories(fs, fs::join(config.data_dir, "operators"), kDirectoryMode).context(doing));
  HF_TRY_DO(fs::create_file(fs, fs::join(config.data_dir, kConfigFile), as_bytes(encode(config)), kSecretMode)
                .context(doing));
  const std::string version = std::string(kVersionLabel) + std::to_string(kDataVersion) + "\n";
  HF_TRY_DO(
      fs::create_file(fs, fs::join(config.data_dir, kVersionFile), as_bytes(version), kSecretMode).context(doing));
  return config;
}

Result<std::unique_ptr<fs::Lock>> lock_data_dir(fs::FileSystem& fs, const std::string& data_dir) {
  Result<std::unique_ptr<fs::Lock>> lock = fs.lock(fs::join(data_dir, "lock"));
  if (!lock && lock.error().code == Errc::Locked) {
    return Error{Errc::Locked, "another holdfastd works on '" + printable(data_dir) +
                                   "': stop it first, or use its own configuration"};
  }
  return lock;
}

Status check_data_version(fs::FileSystem& fs, const std::string& data_dir) {
  const std::string path = fs::join(data_dir, kVersionFile);
  const Result<Bytes> bytes = fs::read_file(fs, path, 256);
  if (!bytes && bytes.error().code == Errc::NotFound) {
    return Error{Errc::Config, "'" + printable(data_dir) + "' is no Holdfast data directory (no " +
                                   std::string(kVersionFile) + "): make one with `holdfastd init --data-dir " +
                                   printable(data_dir) + " --listen ADDR:PORT`"};
  }
  if (!bytes) return bytes.error();
  std::string_view rest;
  const unsigned version = version_after(as_text(*bytes), kVersionLabel, &rest);
  if (version == 0 || rest != "\n")
    return Error{Errc::Corrupt, "'" + printable(path) + "' does not say which format this directory has"};
  if (version > kDataVersion) {
    return Error{Errc::TooNew, "'" + printable(data_dir) + "' has data format " + std::to_string(version) +
                                   ", this program knows up to " + std::to_string(kDataVersion) +
                                   ": nothing was touched; install the newer holdfastd"};
  }
  return {};
}

std::string encode_receipt_key(const crypto::Key& seed) {
  return std::string(kReceiptLabel) + "1 " + to_hex(seed.span()) + " " + receipt_check(seed) + "\n";
}

Result<crypto::Key> decode_receipt_key(std::string_view text) {
  const Error corrupt{Errc::Corrupt,
                      "the receipt key is not what was written: restore it from a copy of the data directory"};
  std::string_view rest;
  const unsigned version = version_after(text, kReceiptLabel, &rest);
  if (version > 1)
    return Error{Errc::TooNew, "the receipt key has format " + std::to_string(version) + ", this program knows 1"};
  if (version == 0 || rest.size() != 1 + 64 + 1 + 16 + 1 || rest[0] != ' ' || rest[65] != ' ' || rest.back() != '\n')
    return corrupt;
  Result<Bytes> raw = from_hex(rest.substr(1, 64));
  if (!raw) return corrupt;
  crypto::Key seed(*raw);
  crypto::wipe(*raw);
  if (encode_receipt_key(seed) != text) return corrupt;  // its check, and not one byte spelled in another way
  return seed;
}

Status check_private(const std::string& path, unsigned most) {
  struct stat facts{};
  if (::lstat(path.c_str(), &facts) != 0) return errno_error(errno, "look at '" + printable(path) + "'");
  const unsigned mode = facts.st_mode & 07777;
  if ((mode & ~most & 0777) != 0) {
    char text[96];
    std::snprintf(text, sizeof text, "mode %04o, wider than %04o: ", mode, most);
    char fix[16];
    std::snprintf(fix, sizeof fix, "%04o", most);
    return Error{Errc::Denied,
                 "'" + printable(path) + "' has " + text + "run `chmod " + fix + " " + printable(path) + "`"};
  }
  if (facts.st_uid != ::geteuid() && ::geteuid() != 0) {
    return Error{Errc::Denied,
                 "'" + printable(path) + "' belongs to another user: run holdfastd as that user, or chown it"};
  }
  return {};
}

Result<ServerKeys> load_keys(fs::FileSystem& fs, const Clock& clock, const ServerConfig& config) {
  const auto at = [&](std::string_view name) { return fs::join(config.data_dir, name); };
  HF_TRY_DO(check_private(config.data_dir, kDirectoryMode));
  for (const std::string_view secret : {kCaKey, kServerKey, kReceiptKey})
    HF_TRY_DO(check_private(at(secret), kSecretMode));
  identity::KeyAndCertificate ca, server;
  HF_TRY(ca.key_pem, read_pem(fs, at(kCaKey)));
  HF_TRY(ca.certificate_pem, read_pem(fs, at(kCaCertificate)));
  HF_TRY(server.key_pem, read_pem(fs, at(kServerKey)));
  HF_TRY(server.certificate_pem, read_pem(fs, at(kServerCertificate)));
  HF_TRY(const crypto::Key receipt, read_receipt_key(fs, at(kReceiptKey)));

  const Result<identity::CertificateFacts> facts = identity::inspect(server.certificate_pem);
  const bool fits = facts && facts->name.role == identity::Role::Server && facts->name.name == config.name;
  const bool renew = !fits || facts->not_after < clock.wall() + kRenewBefore;
  if (renew) {
    HF_TRY(server.certificate_pem,
           certify_server(ca, server.key_pem, config.name, clock).context("renew the server's certificate"));
    HF_TRY_DO(fs::replace_file(fs, at(kServerCertificate), as_bytes(with_digest(server.certificate_pem)), kSecretMode));
  }
  return ServerKeys{std::move(ca), std::move(server), crypto::SigningKey(receipt), renew};
}

std::vector<Damage> check_files(fs::FileSystem& fs, const std::string& data_dir) {
  std::vector<Damage> found;
  const auto note = [&](std::string_view name, const Error& error) {
    found.push_back({std::string(name), error.message});
  };
  for (const std::string_view name : {kCaKey, kCaCertificate, kServerKey, kServerCertificate}) {
    if (const auto pem = read_pem(fs, fs::join(data_dir, name)); !pem) note(name, pem.error());
  }
  if (const auto seed = read_receipt_key(fs, fs::join(data_dir, kReceiptKey)); !seed) note(kReceiptKey, seed.error());
  if (const Status version = check_data_version(fs, data_dir); !version) note(kVersionFile, version.error());
  return found;
}

Result<Dialled> dialled(const ServerConfig& config, std::string_view service, std::string_view enrolment) {
  HF_TRY(const Address real_service, parse_address(service));
  HF_TRY(const Address real_enrolment, parse_address(enrolment));
  const auto named = [](const std::string& text, Address fallback, std::uint16_t port) -> Result<Address> {
    if (text.empty()) return fallback;
    HF_TRY(Address address, parse_public(text));
    if (address.port == 0) address.port = port;
    return address;
  };
  HF_TRY(const Address dial, named(config.public_address, real_service, real_service.port));
  HF_TRY(const Address enroll,
         named(config.enroll_public, Address{dial.host, real_enrolment.port}, real_enrolment.port));
  Dialled out{dial.text(), enroll.text()};
  for (const std::string& text : {out.service, out.enrolment}) {
    if (!identity::valid_address(text))
      return Error{Errc::Config, "clients cannot dial '" + printable(text) + "': set `public` and `enroll_public`"};
  }
  return out;
}

}  // namespace holdfast::config
