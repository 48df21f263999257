#pragma once
// What link.cc and link_fetch.cc share.

#include "client/remote/link.h"

namespace holdfast::remote {

/// Answers of one Fetch message, filled by the link's thread.
struct Link::FetchPart {
  struct Fetched {
    std::uint64_t position;
    Bytes record;
  };
  std::size_t wanted = 0, arrived = 0;  ///< no more records than were asked for ever wait here
  std::deque<Fetched> records;
  std::optional<Result<v1::FetchEnd>> end;
};

inline transport::Frame control_frame(std::uint64_t tag, const v1::Request& request) {
  transport::Frame frame;
  frame.tag = tag;
  frame.payload.resize(request.ByteSizeLong());
  request.SerializeToArray(frame.payload.data(), static_cast<int>(frame.payload.size()));
  return frame;
}

}  // namespace holdfast::remote
