#pragma once
// The daemon's side of the admin socket without a socket: one tenant, and an operator who asks.

#include "server/admin/admin.h"
#include "tests/server/session/service_world.h"

namespace holdfast::admin {

using session::must;

class AdminWorld : public ::testing::Test {
 protected:
  AdminWorld() : pool(1, "admin"), care(1, "care") {
    world.add_tenant("acme");
    start();
  }
  ~AdminWorld() override { loop.join(); }

  /// Also after the world was started anew.
  void start() {
    context.emplace(AdminContext{loop.loop(),
                                 pool,
                                 care,
                                 sessions,
                                 *world.tenants,
                                 *world.operators,
                                 *world.denied,
                                 world.fs,
                                 world.clock,
                                 world.random,
                                 "/srv",
                                 "0.1.0",
                                 world.clock.wall(),
                                 {"backup.example.org:8700", "backup.example.org:8701"},
                                 must(identity::certificate_fingerprint(world.ca.certificate_pem)),
                                 world.receipt_key.public_key()});
  }
  Status ask(const v1::AdminRequest& request, const Emit& emit) {
    return carry_out(*context, request, {"eve", 3}, emit);
  }
  Result<std::vector<v1::AdminResponse>> ask(const v1::AdminRequest& request) {
    std::vector<v1::AdminResponse> answers;
    HF_TRY_DO(ask(request, [&](v1::AdminResponse answer) {
      answers.push_back(std::move(answer));
      return true;
    }));
    return answers;
  }
  Error error_of(const v1::AdminRequest& request) {
    const auto answers = ask(request);
    EXPECT_FALSE(answers);
    return answers ? Error{Errc::Io, ""} : answers.error();
  }

  session::ServiceWorld world;
  session::Sessions sessions;
  session::LoopThread loop;
  runtime::Pool pool, care;
  std::optional<AdminContext> context;
};

}  // namespace holdfast::admin
