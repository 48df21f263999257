#pragma once
// A tenant whose snapshots end, and what collection must keep and give back.

#include "server/collect/collect.h"
#include "server/collect/condemn.h"
#include "tests/server/tenant/tenant_world.h"

namespace holdfast::collect {

using namespace std::chrono_literals;
using tenant::must;

struct CollectWorld : tenant::World {
  using World::World;

  tenant::Parts& parts() { return tenant->parts(); }

  void publish(journal::Kind kind, const Bytes& payload) {
    (void)must(parts().publisher->publish("test", [&](const tenant::State&, const tenant::Stamp&) {
      return Result<std::vector<coordinator::NewRecord>>(std::vector{tenant::new_record(kind, payload)});
    }));
  }
  void lock(const SnapshotId& id) {
    const std::int64_t now = parts().vault->now_ns();
    const std::int64_t date = std::max(
        now, parts().state.read([&](const tenant::State& s) { return s.snapshot(id)->payload.lock_not_before_ns; }));
    publish(journal::Kind::Lock,
            journal::encode(journal::LockPayload{journal::LockPayload::Reason::Operator, "test", {{id, date}}}));
  }
  /// Locked and deleted, as late as it must be.
  void end(const SnapshotId& id) {
    lock(id);
    const std::int64_t date =
        parts().state.read([&](const tenant::State& s) { return s.snapshot(id)->delete_not_before_ns; });
    const std::int64_t now = parts().vault->now_ns();
    if (date > now) clock.advance(std::chrono::nanoseconds(date - now));
    publish(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{{id}}));
  }

  CollectSummary collect(CollectOptions options = {}) { return must(collect::collect(*tenant, options)); }

  /// A backup on top of `base`: `kept` leaves of it, and `fresh` new ones with `data` blobs each.
  SnapshotId back_up_on(const tenant::Machine& machine, const SnapshotId& base, const std::vector<blob::BlobRef>& kept,
                        std::size_t fresh, std::size_t data = 3, std::size_t body_bytes = 200) {
    const tenant::TestRun run = begin(machine, base);
    const tenant::Tree made = tree(machine, run, fresh, data, body_bytes, kept);
    EXPECT_EQ(send(machine, run, made.blobs), made.blobs.size());
    const Bytes bytes = core(machine, run, made.root, base);
    (void)must(tenant->commit(machine.id, run.opened.session, bytes, nullptr));
    last_tree = made;
    last_run = run;
    return snapshot::snapshot_id(bytes);
  }
  std::vector<blob::BlobRef> leaves_of(const tenant::Tree& made, const tenant::TestRun& run) const {
    std::vector<blob::BlobRef> out;
    for (const tenant::TreeBlob& b : made.blobs) {
      if (b.type == blob::Type::Leaf) out.push_back({b.id, run.id});
    }
    return out;
  }
  bool reads(const tenant::Machine& machine, const tenant::TestRun& run, const tenant::Tree& made) {
    return std::all_of(made.blobs.begin(), made.blobs.end(), [&](const tenant::TreeBlob& b) {
      const auto read = tenant->read_blob(machine.id, machine.domain, machine.epoch, {b.id, run.id});
      return read.has_value() && *read == b.record;
    });
  }
  tenant::Life life(const SnapshotId& id) {
    return parts().state.read([&](const tenant::State& s) { return s.snapshot(id)->life; });
  }
  /// Packs and key slots that the journal names, live or in the trash.
  std::set<std::string> named_objects() {
    return parts().state.read([&](const tenant::State& s) {
      std::set<std::string> named;
      for (const auto& [id, pack] : s.packs()) named.insert(pack::object_name(id, pack.note.store_epoch));
      for (const auto& [id, pack] : s.trash()) named.insert(pack::object_name(id, pack.store_epoch));
      for (const auto& [id, session] : s.sessions())
        if (session.slot != tenant::Session::Slot::Removed) named.insert(tenant::slot_name(session.payload.run));
      return named;
    });
  }
  std::set<std::string> object_files() {
    std::set<std::string> there;
    for (const auto& [name, bytes] : files()) {
      if (name.starts_with("packs/") || name.starts_with("slots/")) there.insert(name);
    }
    return there;
  }
  /// Files below packs/ and slots/ are exactly what the journal names, live or in the trash.
  void expect_tidy() { EXPECT_EQ(object_files(), named_objects()); }
  void expect_index_right() {
    const Digest grown = must(tenant->index_digest());
    (void)must(tenant->rebuild_index());
    EXPECT_EQ(must(tenant->index_digest()), grown);
  }
  void expect_undamaged() {
    for (const tenant::Finding& f : check().findings) EXPECT_FALSE(f.damage) << f.file << ": " << f.what;
  }
};

}  // namespace holdfast::collect
