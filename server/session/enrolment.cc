#include "server/session/enrolment.h"

#include "common/base/log.h"
#include "server/session/failure.h"
#include "server/session/tokens.h"

namespace holdfast::session {
namespace {

using State = journal::ClientPayload::State;
using runtime::Task;
using transport::Frame;
using transport::FrameStream;

/// One sentence for everything that is wrong with a token, a name or a tenant.
Error bad_token() {
  return {Errc::Denied,
          "this token is wrong, used or expired: ask for a new one (`holdfastctl client add` or `operator add`)"};
}

std::string text_of(ByteSpan bytes) { return std::string(as_text(bytes)); }

/// May this token still say who its holder is? After its use too, so that an interrupted enrolment can be repeated; the
/// second step decides whether it is the same one.
Status check_token(const journal::ClientPayload& holder, const Digest& token, const Clock& clock) {
  if (holder.state == State::Revoked || !same_token(holder.token_digest, token)) return bad_token();
  if (holder.state == State::Invited && holder.token_expires_ns < to_ns(clock.wall())) return bad_token();
  return {};
}

void fill_common(v1::EnrolResponse& response, const Issuer& issuer) {
  response.set_ca_pem(issuer.ca.certificate_pem);
  response.set_receipt_key(text_of(issuer.receipt_key.bytes));
}

Status check_sizes(const v1::EnrolRequest& request) {
  if (request.token_secret().size() != kTokenSecretBytes)
    return Error{Errc::Protocol, "a token secret has " + std::to_string(kTokenSecretBytes) + " bytes"};
  const v1::Complete& complete = request.complete();
  if (complete.request_pem().size() > kMaxRequestPemBytes)
    return Error{Errc::Limit, "the certificate request is too long"};
  if (complete.client_certificate().size() > snapshot::kMaxCertificateBytes)
    return Error{Errc::Limit, "the client certificate is too long"};
  return {};
}

Result<v1::EnrolResponse> enrol_operator(Operators& operators, const Issuer& issuer, const Clock& clock,
                                         const identity::Name& name, const v1::EnrolRequest& request) {
  const Digest token = token_digest(as_bytes(request.token_secret()));
  v1::EnrolResponse response;
  fill_common(response, issuer);
  if (request.has_prepare()) {
    const auto holder = operators.find(name.name);
    if (!holder) return bad_token();
    HF_TRY_DO(check_token(*holder, token, clock));
    return response;
  }
  const std::string& pem = request.complete().request_pem();
  const auto issue = [&] { return identity::certify(issuer.ca, pem, name, clock, issuer.lifetime); };
  HF_TRY(const journal::ClientPayload holder, operators.enrol(name.name, token, request_digest(pem, {}), issue));
  response.set_certificate_pem(text_of(holder.certificate_pem));
  return response;
}

Result<v1::EnrolResponse> enrol_client(Tenants& tenants, const Issuer& issuer, const Clock& clock,
                                       const identity::Name& name, const v1::EnrolRequest& request) {
  const Result<std::shared_ptr<tenant::Tenant>> found = tenants.find(name.tenant);
  // Whoever asks has not shown a token yet: why a tenant does not open is for the log only.
  if (!found && found.error().code != Errc::NotFound)
    log::error("tenant not opened for an enrolment", {{"name", name.uri()}, {"why", found.error().message}});
  if (!found) return bad_token();
  tenant::Tenant& tenant = **found;
  const Digest token = token_digest(as_bytes(request.token_secret()));
  Result<journal::ClientPayload> holder = tenant.client_by_name(name.name);
  if (!holder) return bad_token();
  HF_TRY_DO(check_token(*holder, token, clock));
  v1::EnrolResponse response;
  fill_common(response, issuer);
  response.set_plan(tenant.account().plan);
  if (const auto root = tenant.pinned_root()) response.set_tenant_root(text_of(root->bytes));
  if (request.has_complete()) {
    const std::string& pem = request.complete().request_pem();
    const ByteSpan certificate = as_bytes(request.complete().client_certificate());
    const auto issue = [&] { return identity::certify(issuer.ca, pem, name, clock, issuer.lifetime); };
    holder = tenant.enrol(name.name, token, request_digest(pem, certificate), certificate, issue);
    if (!holder) return std::move(holder).error();
    response.set_certificate_pem(text_of(holder->certificate_pem));
  }
  response.set_tenant_id(text_of(tenant.id().bytes));
  response.set_client_id(text_of(holder->id.bytes));
  return response;
}

Result<v1::EnrolRequest> parse(const Frame& frame) {
  if (frame.payload.size() > kMaxEnrolBytes)
    return Error{Errc::Limit, "an enrolment request of " + std::to_string(frame.payload.size()) + " bytes"};
  v1::EnrolRequest request;
  const bool parsed = frame.type == transport::FrameType::Control &&
                      request.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()));
  if (!parsed) return Error{Errc::Protocol, "an enrolment request that does not parse"};
  return request;
}

Result<v1::EnrolResponse> enrol_in(EnrolmentContext* context, const v1::EnrolRequest& request) {
  return enrol(context->tenants, context->operators, context->issuer, context->clock, request);
}

/// What is said to whom: refused ones learn the reason and the request id, the log has name and address beside it.
v1::EnrolResponse refusal(EnrolmentContext& context, const FrameStream& stream, std::string_view name,
                          const Error& error) {
  const std::string id = new_request_id(context.random);
  log::warning("enrolment refused", {{"request", id},
                                     {"name", name},
                                     {"address", stream.peer_address()},
                                     {"code", errc_name(error.code)},
                                     {"why", error.message}});
  v1::EnrolResponse response;
  response.set_error_code(static_cast<std::uint32_t>(error.code));
  response.set_error_message(error.message);
  response.set_request_id(id);
  return response;
}

}  // namespace

Result<v1::EnrolResponse> enrol(Tenants& tenants, Operators& operators, const Issuer& issuer, const Clock& clock,
                                const v1::EnrolRequest& request) {
  HF_TRY_DO(check_sizes(request));
  if (request.step_case() == v1::EnrolRequest::STEP_NOT_SET)
    return Error{Errc::Protocol, "an enrolment request without a step"};
  const Result<identity::Name> name = identity::parse_uri(request.name());
  if (!name) return bad_token();
  switch (name->role) {
    case identity::Role::Client:
      return enrol_client(tenants, issuer, clock, *name, request);
    case identity::Role::Operator:
      return enrol_operator(operators, issuer, clock, *name, request);
    case identity::Role::Server:
      break;
  }
  return bad_token();
}

Task<void> serve_enrolment(EnrolmentContext& context, std::unique_ptr<FrameStream> stream) {
  HF_CO_TRY(const Frame frame, co_await stream->receive(context.deadline));
  v1::EnrolResponse response;
  Result<v1::EnrolRequest> request = parse(frame);
  if (!context.rate.allow(stream->peer_address())) {
    const Error busy{Errc::Limit, "too many enrolment requests: try again in a minute"};
    response = refusal(context, *stream, "", busy);
  } else if (!request) {
    response = refusal(context, *stream, "", request.error());
  } else {
    const std::string name = request->name();
    const bool complete = request->has_complete();
    const Result<v1::EnrolResponse> answer =
        co_await runtime::offload(context.disk, &enrol_in, &context, *std::move(request));
    if (!answer)
      response = refusal(context, *stream, name, answer.error());
    else
      response = *answer;
    if (answer && complete) log::info("enrolled", {{"name", name}, {"address", stream->peer_address()}});
  }
  Frame out;
  out.tag = frame.tag;
  out.payload = to_bytes(as_bytes(response.SerializeAsString()));
  HF_CO_TRY_DO(co_await stream->send(std::move(out), context.deadline));
  // The client closes when it has read the answer.
  const Result<Frame> rest = co_await stream->receive(context.deadline);
  (void)rest;
  stream->close();
  co_return Status{};
}

}  // namespace holdfast::session
