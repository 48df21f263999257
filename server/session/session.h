#pragma once
// Why: one connection to the service, from the handshake to its end: frames in, requests answered in order, blobs handed
// to the disk while the next ones arrive, acknowledgements pushed, deadlines kept.
// Two coroutines: one receives into a short queue, one handles and sends. Leaves what a call does to requests.h.
// Sources: proto/PROTOCOL.md; why a failing server lingers before it closes: RFC 9112 §9.6 (a reset may destroy the
// answer that the peer has not read yet).

#include <chrono>
#include <memory>

#include "common/transport/transport.h"
#include "server/session/requests.h"
#include "server/session/sessions.h"

namespace holdfast::session {

struct Deadlines {
  std::chrono::nanoseconds idle = std::chrono::minutes(10);   ///< no frame at all
  std::chrono::nanoseconds frame = std::chrono::seconds(60);  ///< one frame to send; the first one to arrive
  std::chrono::nanoseconds idle_flush =
      std::chrono::seconds(2);  ///< blobs that nobody flushes become durable by themselves
  std::chrono::nanoseconds linger = std::chrono::seconds(5);  ///< after a fatal answer, until the peer closes
};

/// What connections need. References outlive every connection.
struct ServiceContext {
  runtime::Loop& loop;
  runtime::Pool& disk;
  Sessions& sessions;
  RequestContext requests;
  Random& random;
  Deadlines deadlines;
};

/// Frames that wait while one is being handled: reading and disk work overlap; more would only hold memory.
inline constexpr std::size_t kMaxWaitingFrames = 2;

/// Connections of one name at the same time: one machine must not take the places of all others, nor their memory (each
/// connection holds a frame of up to 8 MiB while it arrives).
inline constexpr std::size_t kMaxConnectionsOfOne = 32;

/// Serves one connection until it ends; runs on the loop's thread. The stream carries a verified client certificate.
runtime::Task<void> serve(ServiceContext& context, std::unique_ptr<transport::FrameStream> stream);

}  // namespace holdfast::session
