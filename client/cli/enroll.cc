// `holdfast enroll`: keys are made here, the server's one-time token gets a certificate, the tenant's kit certifies the
// signing key and is not kept. Everything is on disk before the token is used: a cut connection is repaired by running
// the same command again.
#include <nlohmann/json.hpp>

#include "client/cli/app.h"
#include "client/remote/enrol.h"

namespace holdfast::cli {
namespace {

struct EnrollOptions {
  std::string token, kit, passphrase_file;
  bool write_only = false;
};

/// Where things go: beside --config when it was given, else the system's places.
struct Places {
  std::string config, keyring, state_dir, kit;
  explicit Places(const Global& global) {
    config = absolute_path(global.config_path);
    const std::string directory = fs::parent(config);
    keyring = fs::join(directory, "keyring");
    state_dir = global.config_given ? fs::join(directory, "state") : kDefaultStateDir;
    kit = fs::join(directory, "tenant.kit");
  }
};

struct TenantKit {
  keyring::Kit kit;
  bool made = false;
};

Result<TenantKit> get_kit(const EnrollOptions& options, const Places& places) {
  HF_TRY(const Bytes passphrase, read_passphrase(options.passphrase_file));
  if (!options.kit.empty()) {
    HF_TRY(keyring::Kit kit, keyring::read_kit(fs::real(), options.kit, passphrase));
    return TenantKit{std::move(kit), false};
  }
  if (fs::real().stat(places.kit)) {  // an earlier try made it
    HF_TRY(keyring::Kit kit, keyring::read_kit(fs::real(), places.kit, passphrase));
    return TenantKit{std::move(kit), true};
  }
  keyring::Kit kit = keyring::make_kit(system_random());
  HF_TRY_DO(keyring::write_kit(fs::real(), places.kit, kit, passphrase, system_random()));
  return TenantKit{std::move(kit), true};
}

Status certify_client(keyring::Keyring& ring, const remote::Prepared& prepared, const EnrollOptions& options,
                      const Places& places, bool* kit_made) {
  if (prepared.tenant_root.is_zero() == false && options.kit.empty() && !fs::real().stat(places.kit)) {
    return Error{Errc::Denied,
                 "enrol: tenant " + ring.name.tenant + " has a kit already (root key " + prepared.tenant_root.hex() +
                     "); give it with --kit FILE, so that its recovery key opens this machine's backups too"};
  }
  HF_TRY(const TenantKit kit, get_kit(options, places));
  *kit_made = kit.made;
  if (!prepared.tenant_root.is_zero() && prepared.tenant_root != kit.kit.root.public_key()) {
    return Error{Errc::Denied, "enrol: this kit's root key is " + kit.kit.root.public_key().hex() +
                                   ", the tenant's is " + prepared.tenant_root.hex() + ": it is another tenant's kit"};
  }
  Random& random = system_random();
  ring.tenant = prepared.tenant;
  ring.client = prepared.client;
  ring.domain = random.id<DomainId>();
  ring.domain_epoch = 1;
  ring.plan = prepared.plan;
  ring.root = kit.kit.root.public_key();
  ring.signing = crypto::SigningKey::generate(random);
  ring.domain_key = crypto::Key::random(random);
  const auto pin = [&](const PublicKey& key, const char* label) {
    ring.recipients.push_back(
        {key, keyring::wrap_secret(kit.kit.tenant_secret, ring.client, crypto::recipient_of(key)), label});
  };
  pin(kit.kit.recovery.public_key(), "recovery");
  if (!options.write_only) {
    ring.read = crypto::WrapKeyPair::generate(random);
    pin(ring.read->public_key(), "read");
  }
  snapshot::ClientCertificate certificate;
  certificate.tenant = ring.tenant;
  certificate.client = ring.client;
  certificate.signing_key = ring.signing->public_key();
  certificate.domain = ring.domain;
  certificate.not_before_ns = to_ns(system_clock().wall());
  certificate.root = ring.root;
  ring.certificate = snapshot::encode_signed(certificate, kit.kit.root);
  return {};
}

/// An unfinished enrolment with the same token goes on where it was; else new keys.
Result<keyring::Keyring> pending_keyring(const identity::Token& token, const EnrollOptions& options,
                                         const Places& places, bool* kit_made) {
  const std::string path = places.keyring + ".pending";
  if (fs::real().stat(path)) {
    HF_TRY(keyring::Keyring ring, keyring::read_keyring(fs::real(), path));
    *kit_made = options.kit.empty() && fs::real().stat(places.kit).has_value();
    if (ring.name == token.name && ring.receipt_key == token.receipt_key) return ring;
    HF_TRY_DO(fs::real().unlink(path));
  }
  HF_TRY(const remote::Prepared prepared, remote::prepare_enrolment(token));
  keyring::Keyring ring;
  ring.name = token.name;
  ring.service = token.service;
  ring.receipt_key = token.receipt_key;
  ring.ca_pem = prepared.ca_pem;
  HF_TRY(ring.tls.key_pem, identity::make_key_pem());
  if (token.name.role == identity::Role::Client) HF_TRY_DO(certify_client(ring, prepared, options, places, kit_made));
  HF_TRY_DO(keyring::write_keyring(fs::real(), path, ring));
  return ring;
}

struct Enrolled {
  keyring::Keyring ring;
  bool kit_made = false;
};

Result<Enrolled> enroll(const EnrollOptions& options, const Places& places) {
  HF_TRY(const identity::Token token, identity::decode_token(options.token).context("read the token"));
  if (fs::real().stat(places.keyring)) {
    return Error{Errc::Exists, "enrol: this machine is enrolled already (" + places.keyring +
                                   "); to enrol it anew, move that file away first; it gets new keys, "
                                   "and its backups so far open with the recovery file only"};
  }
  if (token.expires_ns < to_ns(system_clock().wall())) {
    return Error{Errc::Denied, "enrol: the token expired at " + rfc3339(from_ns(token.expires_ns)) +
                                   "; ask the operator for a new one"};
  }
  HF_TRY_DO(fs::make_directories(fs::real(), fs::parent(places.config), 0700));
  HF_TRY_DO(fs::make_directories(fs::real(), places.state_dir, 0700));
  Enrolled enrolled;
  HF_TRY(enrolled.ring, pending_keyring(token, options, places, &enrolled.kit_made));
  HF_TRY(const std::string request, identity::make_request_pem(enrolled.ring.tls.key_pem, enrolled.ring.name));
  HF_TRY(enrolled.ring.tls.certificate_pem, remote::complete_enrolment(token, request, enrolled.ring.certificate));
  HF_TRY_DO(keyring::write_keyring(fs::real(), places.keyring, enrolled.ring));
  if (!fs::real().stat(places.config)) {
    Config config;
    config.keyring = places.keyring;
    config.state_dir = places.state_dir;
    HF_TRY_DO(fs::create_file(fs::real(), places.config, as_bytes(config_text(config)), 0600));
  }
  HF_TRY_DO(fs::real().unlink(places.keyring + ".pending"));
  return enrolled;
}

int body_of(const Global& global, const EnrollOptions& options) {
  console::Console out("holdfast", global.output);
  const Places places(global);
  const Result<Enrolled> enrolled = enroll(options, places);
  if (!enrolled) return fail(out, enrolled.error());
  const keyring::Keyring& ring = enrolled->ring;
  console::Json result{{"type", "result"},
                       {"ok", true},
                       {"name", ring.name.uri()},
                       {"config", places.config},
                       {"write_only", !ring.read.has_value()}};
  if (enrolled->kit_made) result["kit"] = places.kit;
  if (enrolled->kit_made) {
    out.warning("the tenant's kit was made on this machine: " + printable(places.kit) +
                ". Move it to a safe place off this machine; without it nobody can restore once this machine is lost");
  }
  out.json(result);
  out.print("Enrolled as " + ring.name.uri() + "; configuration: " + printable(places.config));
  if (ring.signing && !ring.read)
    out.print("Write-only: this machine keeps no key that opens its backups; restores need the recovery file.");
  if (ring.signing) out.note("Next: `holdfast backup PATH...`, or files.paths in the configuration.");
  return console::kDone;
}

}  // namespace

void add_enroll(CLI::App& app, Body* body) {
  CLI::App* command =
      app.add_subcommand("enroll", "Make this machine's keys and get its certificate with a one-time token");
  const auto options = std::make_shared<EnrollOptions>();
  command->add_option("--token", options->token, "Token from `holdfastctl client add`")->required();
  command->add_option(
      "--kit", options->kit,
      "The tenant's kit; used once, nothing of it is stored. Without it a kit is made beside the configuration");
  command->add_option("--passphrase-file", options->passphrase_file, "File with the kit's passphrase");
  command->add_flag("--write-only", options->write_only, "Keep no key on this machine that opens its backups");
  command->callback([=] { *body = [=](const Global& global) { return body_of(global, *options); }; });
}

}  // namespace holdfast::cli
