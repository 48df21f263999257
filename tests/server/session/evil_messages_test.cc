// Frames that lie in their headers, bytes that are no message, questions about what is not one's own.
#include "tests/server/session/evil_client.h"

namespace holdfast::session {
namespace {

/// What a header says; nothing of it may be believed. The connection ends without a word.
void add_headers(Rows& rows) {
  const Bytes payload(20);
  sends(rows, "another magic", raw_frame(1, 1, payload, {}, "GF"));
  sends(rows, "frames of version 0", raw_frame(1, 1, payload, {}, "HF", 0));
  sends(rows, "frames of version 2", raw_frame(1, 1, payload, {}, "HF", 2));
  for (const std::uint8_t type : {0, 3, 255})
    sends(rows, "a frame of type " + std::to_string(type), raw_frame(type, 1, payload));
  for (const std::uint32_t length : {1u << 31, ~0u, (4u << 20) + 1})
    sends(rows, "a control frame of " + std::to_string(length), raw_frame(1, 1, payload, length));
  for (const std::uint32_t length : {1u << 31, ~0u, (8u << 20) + 1})
    sends(rows, "a blob of " + std::to_string(length), raw_frame(2, 1, payload, length));
  sends(rows, "1 MiB of noise", support::SeededRandom(kSeed).bytes(1u << 20));
}

std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

/// What no serializer of protobuf writes.
void add_messages(Rows& rows) {
  const auto message = [&](const std::string& name, const std::string& payload, Errc failure = Errc::Protocol) {
    sends(rows, name, raw_frame(1, 5, as_bytes(payload)), failure);
  };
  message("an empty message", "");
  message("100,000 groups in each other", std::string(100'000, '\x0b'));
  std::string nested;
  for (int i = 0; i < 5000; ++i) {  // field 3, as long as what it holds
    std::string outer = bytes_of({0x1a});
    for (std::size_t n = nested.size();; n >>= 7) {
      outer.push_back(static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0)));
      if (n <= 0x7f) break;
    }
    nested = outer + nested;
    if (nested.size() > 30'000) break;
  }
  message("messages in each other", nested);
  message("a field of 2^63 bytes", bytes_of({0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}));
  message("a field of 2^31 bytes", bytes_of({0x1a, 0x80, 0x80, 0x80, 0x80, 0x08}));
  message("a varint of eleven bytes",
          bytes_of({0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}));
  message("a call of the future", bytes_of({0xfa, 0x3f, 0x00}));
  message("a call of another wire type", bytes_of({0x1d, 1, 2, 3, 4}));
  message("field number 0", bytes_of({0x02, 0x00}));
  message("a message of the longest kind and one more", std::string(kMaxRequestBytes + 1, 'x'), Errc::Limit);
  v1::Request status;
  status.mutable_account_status();
  sends(rows, "a request without a number", request_frame(0, status), Errc::Protocol);
  v1::Request again;
  again.mutable_hello()->set_protocol(kProtocol);
  sends(rows, "a second hello", request_frame(9, again), Errc::Protocol);
  Bytes hellos;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    const Bytes one = request_frame(i, again);
    hellos.insert(hellos.end(), one.begin(), one.end());
  }
  sends(rows, "a thousand hellos at once", hellos, Errc::Protocol);
  rows.push_back({"a hello with 100,000 features and unknown fields",
                  [](Attack& a) {
                    v1::Request request;
                    request.mutable_hello()->set_protocol(kProtocol);
                    for (int i = 0; i < 100'000; ++i) request.mutable_hello()->add_features("f");
                    a.client.send(request_frame(9, request));
                  },
                  Errc::Protocol});
}

void add_questions(Rows& rows) {
  const auto asks = [&](const std::string& name, std::function<v1::Request(Attack&)> make, Errc failure,
                        After after = After::Served) {
    rows.push_back({name,
                    [=](Attack& a) {
                      a.open();
                      a.client.send(7, make(a));
                    },
                    failure, after});
  };
  asks("4,097 ids in one question", [](Attack& a) { return a.have(4097); }, Errc::Limit, After::Ended);
  asks("30,000 ids in one question", [](Attack& a) { return a.have(30'000); }, Errc::Limit, After::Ended);
  for (const std::size_t bytes : {0, 31, 33, 100'000}) {
    asks(
        "an id of " + std::to_string(bytes) + " bytes", [=](Attack& a) { return a.have(1, bytes); }, Errc::Protocol,
        After::Ended);
  }
  asks(
      "1,025 blobs in one fetch",
      [](Attack&) {
        v1::Request request;
        for (int i = 0; i < 1025; ++i) request.mutable_fetch()->add_refs();
        return request;
      },
      Errc::Limit, After::Ended);
  asks(
      "a question in another's session",
      [](Attack& a) {
        v1::Request request = a.have(3);
        request.mutable_have()->set_session_id(text_of(a.scene.neighbours_run.opened.session));
        return request;
      },
      Errc::NotFound);
  asks(
      "a flush of another's session",
      [](Attack& a) {
        v1::Request request;
        request.mutable_flush()->set_session_id(text_of(a.scene.neighbours_run.opened.session));
        return request;
      },
      Errc::NotFound);
  asks(
      "the end of another's session",
      [](Attack& a) {
        v1::Request request;
        request.mutable_abandon_session()->set_session_id(text_of(a.scene.neighbours_run.opened.session));
        return request;
      },
      Errc::NotFound);
  asks(
      "a commit in another's session",
      [](Attack& a) {
        v1::Request request = a.commit(Bytes(100));
        request.mutable_commit()->set_session_id(text_of(a.scene.neighbours_run.opened.session));
        return request;
      },
      Errc::NotFound);
  asks(
      "another's run gone on with",
      [](Attack& a) {
        v1::Request request = a.scene.service.world.opening(a.scene.good.member, a.scene.neighbours_run);
        request.mutable_open_session()->set_session_id(text_of(a.scene.neighbours_run.opened.session));
        return request;
      },
      Errc::Corrupt);
  asks(
      "another's snapshot",
      [](Attack& a) {
        v1::Request request;
        request.mutable_get_snapshot()->set_snapshot_id(text_of(a.scene.neighbours_snapshot));
        return request;
      },
      Errc::NotFound);
  asks(
      "another's run",
      [](Attack& a) {
        v1::Request request;
        request.mutable_get_run()->set_run(text_of(a.scene.neighbours_run.id));
        return request;
      },
      Errc::NotFound);
  asks(
      "another tenant",
      [](Attack&) {
        v1::Request request;
        request.mutable_list_snapshots()->mutable_subject()->set_tenant("other");
        request.mutable_list_snapshots()->mutable_subject()->set_client("shop");
        return request;
      },
      Errc::NotFound);
}

TEST_F(EvilClient, IsRefusedWhateverItsFramesSay) {
  Rows rows;
  add_headers(rows);
  add_messages(rows);
  add_questions(rows);
  EXPECT_GE(rows.size(), 35u);
  expect_refused(rows);
}

}  // namespace
}  // namespace holdfast::session
