// A server without keys that lies while a client restores: one behaviour a row. Whatever it does, the exit code is the
// documented one, no wrong byte gets a final name, and neither time nor memory are without bound.
#include "tests/client/restore/evil_server.h"

#include <sys/resource.h>

namespace holdfast::test::evil {
namespace {

using console::exit_code;

constexpr auto kSoon = std::chrono::seconds(30);  // no behaviour may cost more; the truth takes a fraction of a second
constexpr long kMostKilobytes = 512L << 10;       // how far memory may grow over all of them, sanitizers included

using Records = std::function<Result<Bytes>(const remote::WantedBlob&, Bytes)>;

/// Lies about the records of one type.
std::function<void(EvilRemote&)> about(blob::Type type, Records change) {
  return [=](EvilRemote& server) {
    server.record = [=](const remote::WantedBlob& wanted, Result<Bytes> truth) -> Result<Bytes> {
      HF_ASSERT(truth.has_value());
      const Result<blob::RecordView> view = blob::decode_record(*truth);
      return view->header.type == type ? change(wanted, *std::move(truth)) : std::move(truth);
    };
  };
}

std::function<void(EvilRemote&)> listing(
    std::function<std::vector<remote::SnapshotRow>(std::vector<remote::SnapshotRow>)> change) {
  return [=](EvilRemote& server) {
    server.rows = [=](std::vector<remote::SnapshotRow> truth) -> Result<std::vector<remote::SnapshotRow>> {
      return change(std::move(truth));
    };
  };
}

/// Shows another core as the newest.
std::function<void(EvilRemote&)> newest_core(std::function<Bytes(Bytes)> change) {
  return listing([=](std::vector<remote::SnapshotRow> rows) {
    rows.back().core = change(rows.back().core);
    return rows;
  });
}

std::function<void(EvilRemote&)> running(std::function<Result<remote::RunRow>(remote::RunRow)> change) {
  return [=](EvilRemote& server) {
    server.run_row = [=](const RunId&, remote::RunRow truth) { return change(std::move(truth)); };
  };
}

/// Fails calls for blobs with this code: the n-th, or it and all after it.
std::function<void(EvilRemote&)> fetch_fails(std::size_t from, bool once, Errc code) {
  return [=](EvilRemote& server) {
    server.fetched = [=, calls = std::size_t{0}](const std::vector<remote::WantedBlob>& wanted,
                                                 const EvilRemote::Got& got) mutable -> Status {
      const std::size_t call = calls++;
      if (once ? call == from : call >= from) return Error{code, "says the server"};
      return world().first.remote->fetch({}, wanted, got);
    };
  };
}

void add_blobs(std::vector<Behaviour>& rows) {
  const auto same = [](Bytes (*change)(Bytes)) -> Records {
    return [=](const remote::WantedBlob&, Bytes record) -> Result<Bytes> { return change(std::move(record)); };
  };
  const std::pair<const char*, Bytes (*)(Bytes)> kinds[] = {
      {"one byte flipped in the middle",
       [](Bytes r) {
         r[r.size() / 2] ^= 1;
         return r;
       }},
      {"the last byte flipped",
       [](Bytes r) {
         r.back() ^= 0x80;
         return r;
       }},
      {"half of it",
       [](Bytes r) {
         r.resize(r.size() / 2);
         return r;
       }},
      {"a byte too many",
       [](Bytes r) {
         r.push_back(0);
         return r;
       }},
      {"nothing", [](Bytes) { return Bytes{}; }},
      {"the header alone",
       [](Bytes r) {
         r.resize(blob::kHeaderBytes);
         return r;
       }},
      {"8 MiB of noise",
       [](Bytes) {
         Bytes r(8u << 20);
         system_random().fill(r);
         return r;
       }},
      {"lengths of 2^32 - 1 in the header",
       [](Bytes r) {
         std::fill(r.begin() + blob::kHeaderBytes - 8, r.begin() + blob::kHeaderBytes, std::uint8_t{0xff});
         return r;
       }},
      {"another cipher",
       [](Bytes r) {
         blob::Header header = blob::decode_record(r)->header;
         header.cipher = header.cipher == 1 ? 2 : 1;
         const Bytes other = blob::encode_header(header);
         std::copy(other.begin(), other.end(), r.begin());
         return r;
       }},
      {"another domain's epoch",
       [](Bytes r) {
         blob::Header header = blob::decode_record(r)->header;
         ++header.epoch;
         const Bytes other = blob::encode_header(header);
         std::copy(other.begin(), other.end(), r.begin());
         return r;
       }},
      {"another nonce",
       [](Bytes r) {
         const std::size_t at = static_cast<std::size_t>(blob::decode_record(r)->nonce.data() - r.data());
         r[at] ^= 1;
         return r;
       }},
  };
  for (const auto& [name, change] : kinds) {
    rows.push_back({std::string("data: ") + name, about(blob::Type::Data, same(change)), console::kDamaged});
    rows.push_back({std::string("leaf: ") + name, about(blob::Type::Leaf, same(change)), console::kDamaged});
  }
}

void add_exchanges(std::vector<Behaviour>& rows) {
  using blob::Type;
  const auto other_of = [](Type type) -> Records {
    return [=](const remote::WantedBlob& wanted, Bytes) -> Result<Bytes> {
      return world().record(world().any(type, wanted.ref));
    };
  };
  rows.push_back({"data: another blob of the run", about(Type::Data, other_of(Type::Data)), console::kDamaged});
  rows.push_back({"data: a manifest segment", about(Type::Data, other_of(Type::Leaf)), console::kDamaged});
  rows.push_back({"leaf: another leaf", about(Type::Leaf, other_of(Type::Leaf)), console::kDamaged});
  rows.push_back({"leaf: a data blob", about(Type::Leaf, other_of(Type::Data)), console::kDamaged});
  rows.push_back({"leaf: the root again, a cycle", about(Type::Leaf, other_of(Type::Index)), console::kDamaged});
  rows.push_back({"root: the older snapshot's",
                  [](EvilRemote& server) {
                    server.record = [](const remote::WantedBlob& wanted, Result<Bytes> truth) -> Result<Bytes> {
                      const snapshot::Core newer = world().core(1), older = world().core(0);
                      if (wanted.ref.blob != newer.root.blob) return truth;
                      return world().record({older.root.blob, older.root.run});
                    };
                  },
                  console::kDamaged});
  rows.push_back({"one blob of many spoiled",
                  [](EvilRemote& server) {
                    const blob::BlobRef victim = world().newest_data();
                    server.record = [=](const remote::WantedBlob& wanted, Result<Bytes> truth) -> Result<Bytes> {
                      if (wanted.ref == victim) truth->back() ^= 1;
                      return truth;
                    };
                  },
                  console::kDamaged, true});
  rows.push_back({"the blobs of an answer in turned places",
                  [](EvilRemote& server) {
                    server.fetched = [](const std::vector<remote::WantedBlob>& wanted, const EvilRemote::Got& got) {
                      std::vector<remote::WantedBlob> turned(wanted.rbegin(), wanted.rend());
                      return world().first.remote->fetch({}, turned, got);
                    };
                  },
                  console::kDamaged});
  for (const Errc code : {Errc::NotFound, Errc::Missing, Errc::Corrupt}) {
    rows.push_back({"data: refused as " + std::string(errc_name(code)),
                    about(Type::Data, [=](const remote::WantedBlob&, Bytes) -> Result<Bytes> {
                      return Error{code, "says the server"};
                    })});
  }
  rows[rows.size() - 3].code = console::kFailed;  // what the wire calls NotFound comes as Missing: messages.h
}

/// Of the data blobs only the first comes, then every answer breaks off.
std::function<void(EvilRemote&)> answer_breaks_off(Errc code) {
  return [=](EvilRemote& server) {
    server.fetched = [=](const std::vector<remote::WantedBlob>& wanted, const EvilRemote::Got& got) {
      std::size_t given = 0;
      return world().first.remote->fetch({}, wanted, [&](std::size_t index, Result<Bytes> record) -> Status {
        const bool is_data = blob::decode_record(*record)->header.type == blob::Type::Data;
        if (is_data && given++ > 0) return Error{code, "says the server"};
        return got(index, std::move(record));
      });
    };
  };
}

/// `calls`: for blobs, in a restore as in a verification.
void add_refusals(std::vector<Behaviour>& rows, std::size_t calls) {
  for (const Errc code : {Errc::Canceled, Errc::Protocol, Errc::Unreachable, Errc::Denied})
    rows.push_back(
        {"an answer breaks off because of " + std::string(errc_name(code)), answer_breaks_off(code), exit_code(code)});
  for (std::size_t from = 0; from < calls; ++from) {
    for (const Errc code : {Errc::Canceled, Errc::Protocol, Errc::Unreachable, Errc::Denied}) {
      const std::string why = " because of " + std::string(errc_name(code)), call = std::to_string(from);
      rows.push_back({"no blobs at call " + call + why, fetch_fails(from, true, code), exit_code(code)});
      rows.push_back({"no blobs from call " + call + " on" + why, fetch_fails(from, false, code), exit_code(code)});
    }
  }
}

void add_lists(std::vector<Behaviour>& rows) {
  using Rows = std::vector<remote::SnapshotRow>;
  rows.push_back({"list: turned round", listing([](Rows r) { return Rows(r.rbegin(), r.rend()); })});
  rows.push_back({"list: the newest twice", listing([](Rows r) {
                    r.push_back(r.back());
                    return r;
                  })});
  rows.push_back({"list: the older one again as the newest", listing([](Rows r) {
                    r.push_back(r.front());
                    return r;
                  })});
  rows.push_back({"list: another machine's snapshot", listing([](Rows r) {
                    r.push_back(world().second.remote->rows[0]);
                    return r;
                  })});
  rows.push_back({"list: another machine's alone", listing([](Rows) { return world().second.remote->rows; })});
  rows.push_back({"list: empty", listing([](Rows) { return Rows{}; }), console::kFailed});
  rows.push_back({"core: its last byte flipped", newest_core([](Bytes core) {
                    core.back() ^= 1;
                    return core;
                  })});
  rows.push_back({"core: cut", newest_core([](Bytes core) {
                    core.resize(core.size() - 1);
                    return core;
                  })});
  rows.push_back({"core: a byte too many", newest_core([](Bytes core) {
                    core.push_back(0);
                    return core;
                  })});
  rows.push_back({"core: empty", newest_core([](Bytes) { return Bytes{}; })});
  rows.push_back({"core: 2 MiB", newest_core([](Bytes) { return Bytes(2u << 20); })});
  rows.push_back({"core: a receipt", newest_core([](Bytes) {
                    return snapshot::encode_signed(snapshot::Receipt{}, world().first.receipt_key);
                  })});
  rows.push_back({"core: the older root in it", newest_core([](Bytes) {
                    snapshot::Core made = world().core(1);
                    made.root = world().core(0).root;
                    return world().signed_by_another(made);
                  })});
  rows.push_back({"core: a later number on the older one", newest_core([](Bytes) {
                    snapshot::Core made = world().core(0);
                    made.sequence = 3;
                    return world().signed_by_another(made);
                  })});
  rows.push_back({"core: signed by another machine of the tenant", newest_core([](Bytes) {
                    return snapshot::encode_signed(world().core(1), *world().second.ring.signing);
                  })});
  rows.push_back({"core: another machine's certificate in it", newest_core([](Bytes) {
                    snapshot::Core made = world().core(1);
                    made.certificate = world().second.ring.certificate;
                    return snapshot::encode_signed(made, *world().second.ring.signing);
                  })});
  rows.push_back({"core: all anew under a root of the server's own", listing([](Rows r) {
                    r.back() = world().under_own_root(world().core(1));
                    return r;
                  }),
                  console::kRefused});
}

void add_runs(std::vector<Behaviour>& rows) {
  using Row = remote::RunRow;
  const auto older = [] { return *world().first.remote->run({}, world().core(0).run); };
  const auto foreign = [] {
    const snapshot::Core core = snapshot::decode_core(world().second.remote->rows[0].core)->core;
    return *world().second.remote->run({}, core.run);
  };
  rows.push_back({"run: the older run's", running([=](Row) -> Result<Row> { return older(); })});
  rows.push_back({"run: another machine's", running([=](Row) -> Result<Row> { return foreign(); })});
  rows.push_back({"run: the older run's record", running([=](Row r) -> Result<Row> {
                    r.run_record = older().run_record;
                    return r;
                  })});
  rows.push_back({"slot: the older run's", running([=](Row r) -> Result<Row> {
                    r.slot = older().slot;
                    return r;
                  }),
                  console::kDamaged});
  rows.push_back({"slot: another machine's", running([=](Row r) -> Result<Row> {
                    r.slot = foreign().slot;
                    return r;
                  }),
                  console::kDamaged});
  rows.push_back({"slot: cut", running([](Row r) -> Result<Row> {
                    r.slot.resize(r.slot.size() - 1);
                    return r;
                  })});
  rows.push_back({"slot: empty", running([](Row r) -> Result<Row> {
                    r.slot.clear();
                    return r;
                  })});
  rows.push_back({"slot: other bytes in place of the wrapped key", running([](Row r) -> Result<Row> {
                    snapshot::KeySlot slot = *snapshot::decode_key_slot(r.slot);
                    for (snapshot::KeySlot::Wrap& wrap : slot.wraps) system_random().fill(wrap.ciphertext);
                    r.slot = snapshot::encode(slot);
                    return r;
                  }),
                  console::kRefused});
  rows.push_back({"slot: nothing for our key", running([](Row r) -> Result<Row> {
                    snapshot::KeySlot slot = *snapshot::decode_key_slot(r.slot);
                    const RecipientId ours = world().first.ring.read->recipient();
                    std::erase_if(slot.wraps, [&](const auto& wrap) { return wrap.recipient == ours; });
                    r.slot = snapshot::encode(slot);
                    return r;
                  }),
                  console::kRefused});
  rows.push_back({"certificate: another machine's", running([](Row r) -> Result<Row> {
                    r.certificate = world().second.ring.certificate;
                    return r;
                  })});
  rows.push_back({"certificate: empty", running([](Row r) -> Result<Row> {
                    r.certificate.clear();
                    return r;
                  })});
  rows.push_back({"run: refused", running([](Row) -> Result<Row> { return Error{Errc::Denied, "says the server"}; }),
                  console::kRefused});
}

std::vector<Behaviour> behaviours(std::size_t calls) {
  std::vector<Behaviour> rows;
  add_blobs(rows);
  add_exchanges(rows);
  add_refusals(rows, calls);
  add_lists(rows);
  add_runs(rows);
  return rows;
}

/// Calls for blobs that a command makes of an honest server, which it must like.
std::size_t honest_calls(const std::function<Outcome(EvilRemote&)>& command) {
  std::size_t calls = 0;
  EvilRemote server(*world().first.remote);
  server.fetched = [&](const std::vector<remote::WantedBlob>& wanted, const EvilRemote::Got& got) {
    ++calls;
    return world().first.remote->fetch({}, wanted, got);
  };
  const Outcome outcome = command(server);
  EXPECT_EQ(outcome.code, console::kDone) << outcome.message;
  return calls;
}

/// Only what was cut short may leave its plan and its drafts; with an honest server the same command then makes it whole.
void expect_goes_on(const Outcome& restored, const std::string& target) {
  EXPECT_TRUE(restored.is_cut_short);
  EvilRemote honest(*world().first.remote);
  const Outcome rest = restore_through(honest, target);
  EXPECT_EQ(rest.code, console::kDone) << rest.message;
  EXPECT_TRUE(rest.is_resumed);
  EXPECT_EQ(own_files(target), std::vector<std::string>{});
  EXPECT_EQ(wrong_files(target), std::vector<std::string>{});
  EXPECT_EQ(files_in(target), files_in(world().first.root + "/data"));
}

TEST(EvilServer, CannotMakeARestoreWriteAWrongByteOrCallItDone) {
  const std::string honest = world().first.root + "/honest";
  const std::size_t of_restore = honest_calls([&](EvilRemote& server) { return restore_through(server, honest); });
  const std::size_t of_verify = honest_calls([](EvilRemote& server) { return verify_through(server); });
  EXPECT_EQ(wrong_files(honest), std::vector<std::string>{});
  EXPECT_EQ(files_in(honest), 404u);
  const std::vector<Behaviour> all = behaviours(std::min(of_restore, of_verify));
  EXPECT_GE(all.size(), 60u);
  const std::size_t whole = files_in(world().first.root + "/data");
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  for (const Behaviour& one : all) {
    SCOPED_TRACE(one.name);
    const std::string target = world().first.root + "/back";
    EvilRemote server(*world().first.remote);
    one.lie(server);
    const MonotonicTime begun = system_clock().monotonic();
    const Outcome restored = restore_through(server, target);
    EXPECT_LT(system_clock().monotonic() - begun, kSoon);
    EXPECT_EQ(restored.code, one.code) << restored.message;
    EXPECT_EQ(wrong_files(target), std::vector<std::string>{});
    if (!own_files(target).empty()) expect_goes_on(restored, target);
    if (one.others_restored) {
      EXPECT_EQ(files_in(target) + restored.failed, whole);
      EXPECT_GT(restored.failed, 0u);
      EXPECT_GT(files_in(target), 0u);
    }
    if (restored.code == console::kDone) ADD_FAILURE() << "called done, with " << files_in(target) << " of " << whole;
    fs::remove_all(target);
    EvilRemote again(*world().first.remote);
    one.lie(again);
    EXPECT_NE(verify_through(again).code, console::kDone);
  }
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, kMostKilobytes);
}

}  // namespace
}  // namespace holdfast::test::evil
