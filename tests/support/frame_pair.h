#pragma once
// Why: sessions are tested without sockets and TLS. Two FrameStreams joined in memory, with a knife: a direction can be
// cut after n bytes, as a network does it, at a frame's border or in the middle.

#include <cstdint>
#include <memory>
#include <optional>

#include "common/transport/transport.h"

namespace holdfast::support {

inline constexpr std::uint64_t kNeverCut = ~std::uint64_t{0};

struct FramePairOptions {
  /// Who the other side is, as each end sees it.
  std::optional<identity::CertificateFacts> client_name, server_name;
  /// Bytes (headers and payloads) that get through in each direction. The frame that would cross the border does not
  /// arrive; its sender hears of it only at its next call. Then both ends are broken (Unreachable).
  std::uint64_t cut_to_server = kNeverCut, cut_to_client = kNeverCut;
  /// Frames in flight per direction before `send` waits.
  std::size_t capacity = 4;
};

/// Both ends belong to one loop.
struct FramePair {
  std::unique_ptr<transport::FrameStream> client;  ///< its peer() is server_name
  std::unique_ptr<transport::FrameStream> server;  ///< its peer() is client_name
};
FramePair make_frame_pair(FramePairOptions options = {});

/// Facts of a certificate that was never made.
identity::CertificateFacts facts_of(identity::Name name);

}  // namespace holdfast::support
