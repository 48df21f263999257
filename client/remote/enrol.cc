#include "client/remote/enrol.h"

#include <optional>

#include "client/remote/messages.h"
#include "common/transport/transport.h"
#include "proto/holdfast/v1/enrol.pb.h"

namespace holdfast::remote {
namespace {

constexpr std::chrono::nanoseconds kDeadline = std::chrono::seconds(60);

runtime::Task<void> ask(runtime::Loop& loop, transport::ClientOptions options, const v1::EnrolRequest& request,
                        v1::EnrolResponse& response) {
  HF_CO_TRY(const std::unique_ptr<transport::FrameStream> stream,
            co_await transport::connect(loop, std::move(options)));
  transport::Frame frame;
  frame.tag = 1;
  frame.payload = to_bytes(as_bytes(request.SerializeAsString()));
  HF_CO_TRY_DO(co_await stream->send(std::move(frame), kDeadline));
  HF_CO_TRY(const transport::Frame answer, co_await stream->receive(kDeadline));
  stream->close();
  const bool parsed = answer.type == transport::FrameType::Control &&
                      response.ParseFromArray(answer.payload.data(), static_cast<int>(answer.payload.size()));
  if (!parsed) co_return Error{Errc::Protocol, "the server's answer does not parse"};
  co_return Status{};
}

Result<v1::EnrolResponse> call(const identity::Token& token, v1::EnrolRequest request) {
  request.set_token_secret(text_of(token.secret));
  request.set_name(token.name.uri());
  transport::ClientOptions options;
  options.address = token.enrolment;
  options.ca_fingerprint = token.ca_fingerprint;
  options.alpn = "holdfast-enrol/1";
  runtime::Loop loop;
  v1::EnrolResponse response;
  std::optional<Status> end;
  runtime::Task<void> task = ask(loop, std::move(options), request, response);
  loop.spawn(std::move(task), [&](Status status) {
    end.emplace(std::move(status));
    loop.stop();
  });
  loop.run();
  const std::string doing = "enrol " + token.name.uri() + " at " + token.enrolment;
  if (!*end) return std::move(*end).error().with_context(doing);
  if (response.error_code() != 0) {
    std::string message = printable(response.error_message());
    if (!response.request_id().empty()) message += " (server request " + printable(response.request_id()) + ")";
    return Error{checked_code(response.error_code()), std::move(message)}.with_context(doing);
  }
  return response;
}

}  // namespace

Result<Prepared> prepare_enrolment(const identity::Token& token) {
  v1::EnrolRequest request;
  request.mutable_prepare();
  HF_TRY(const v1::EnrolResponse response, call(token, std::move(request)));
  Prepared prepared;
  if (token.name.role == identity::Role::Client) {
    HF_TRY(prepared.tenant, read_id<TenantId>(response.tenant_id()));
    HF_TRY(prepared.client, read_id<ClientId>(response.client_id()));
    if (!response.tenant_root().empty()) {
      HF_TRY(prepared.tenant_root, read_id<PublicKey>(response.tenant_root()));
    }
  }
  prepared.plan = response.plan();
  prepared.ca_pem = response.ca_pem();
  // The token came by a trusted way; the listener's answer must agree with it.
  HF_TRY(prepared.receipt_key, read_id<PublicKey>(response.receipt_key()));
  if (prepared.receipt_key != token.receipt_key)
    return Error{Errc::Denied, "enrol: the server's receipt key is not the one in the token"};
  HF_TRY(const Digest fingerprint, identity::certificate_fingerprint(prepared.ca_pem));
  if (fingerprint != token.ca_fingerprint)
    return Error{Errc::Denied, "enrol: the server's CA is not the one in the token"};
  return prepared;
}

Result<std::string> complete_enrolment(const identity::Token& token, const std::string& request_pem,
                                       ByteSpan client_certificate) {
  v1::EnrolRequest request;
  request.mutable_complete()->set_request_pem(request_pem);
  request.mutable_complete()->set_client_certificate(text_of(client_certificate));
  HF_TRY(const v1::EnrolResponse response, call(token, std::move(request)));
  if (response.certificate_pem().empty()) return Error{Errc::Protocol, "enrol: the server sent no certificate"};
  return response.certificate_pem();
}

}  // namespace holdfast::remote
