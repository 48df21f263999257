#include "common/identity/identity.h"

namespace holdfast::identity {
namespace {

constexpr std::string_view kScheme = "holdfast://";
constexpr std::string_view kServer = "server";
constexpr std::string_view kOperator = "operator";
constexpr std::size_t kMaxNameBytes = 63;

bool letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

Error bad_name(std::string_view text) {
  return {Errc::Usage,
          "'" + printable(text.substr(0, 80)) +
              "' is no name: 1 to 63 characters of a-z, 0-9, '.', '_', '-', the first a letter or a digit"};
}

Result<Name> split(std::string_view text, std::string_view shape) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return Error{Errc::Usage, "'" + printable(text.substr(0, 80)) + "' is not " + std::string(shape)};
  }
  Name name;
  name.tenant = text.substr(0, slash);
  name.name = text.substr(slash + 1);
  if (!valid_name(name.tenant)) return bad_name(name.tenant);
  if (!valid_name(name.name)) return bad_name(name.name);
  return name;
}

}  // namespace

bool valid_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxNameBytes || !letter_or_digit(text[0])) return false;
  for (const char c : text) {
    if (!letter_or_digit(c) && c != '.' && c != '_' && c != '-') return false;
  }
  return true;
}

std::string Name::uri() const {
  switch (role) {
    case Role::Server:
      return std::string(kScheme) + std::string(kServer) + "/" + name;
    case Role::Operator:
      return std::string(kScheme) + std::string(kOperator) + "/" + name;
    case Role::Client:
      break;
  }
  return std::string(kScheme) + tenant + "/" + name;
}

Result<Name> parse_uri(std::string_view uri) {
  if (!uri.starts_with(kScheme)) {
    return Error{Errc::Usage, "'" + printable(uri.substr(0, 80)) + "' is no name of ours (holdfast://…/…)"};
  }
  HF_TRY(Name name, split(uri.substr(kScheme.size()), "holdfast://TENANT/CLIENT"));
  if (name.tenant == kServer || name.tenant == kOperator) {
    name.role = name.tenant == kServer ? Role::Server : Role::Operator;
    name.tenant.clear();
  }
  return name;
}

Result<Name> parse_client_name(std::string_view text) {
  HF_TRY(Name name, split(text, "TENANT/CLIENT"));
  if (name.tenant == kServer || name.tenant == kOperator) {
    return Error{Errc::Usage, "'" + name.tenant + "' is reserved and cannot be a tenant's name"};
  }
  return name;
}

}  // namespace holdfast::identity
