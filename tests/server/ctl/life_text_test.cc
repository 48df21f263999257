#include "server/ctl/life_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace holdfast::ctl {
namespace {

constexpr std::int64_t kDay = 86'400'000'000'000;
constexpr std::int64_t kStart = 1'767'225'600'000'000'000;  // 2026-01-01

v1::SnapshotStory story(const std::string& state, const std::string& rule) {
  v1::SnapshotStory out;
  out.set_client("acme/shop");
  out.set_sequence(7);
  out.set_id(std::string(32, '\x4f'));
  out.set_state(state);
  out.set_rule(rule);
  out.set_plan("30d");
  out.set_received_wall_ns(kStart);
  out.set_committed_ns(kStart);
  out.set_now_ns(kStart + 40 * kDay);
  out.set_promised_lock_ns(kStart + 30 * kDay);
  out.set_lock_not_before_ns(kStart + 30 * kDay);
  out.set_delete_not_before_ns(kStart + 44 * kDay);
  if (state != "live") out.set_locked_ns(kStart + 31 * kDay);
  if (state == "deleted" || state == "erased") out.set_deleted_ns(kStart + 46 * kDay);
  if (state == "erased") out.set_erased_ns(kStart + 50 * kDay);
  return out;
}
std::string text(const std::vector<std::string>& sentences) {
  std::string out;
  for (const std::string& one : sentences) out += one + "\n";
  return out;
}
bool says(const v1::SnapshotStory& story, const std::string& what) {
  return text(sentences_of(story)).find(what) != std::string::npos;
}

TEST(Explain, SaysWhyALiveSnapshotIsKept) {
  v1::SnapshotStory one = story("live", "age");
  EXPECT_TRUE(says(one, "Snapshot acme/shop/7 4f4f4f4f4f4f, received 2026-01-01T00:00:00Z."));
  EXPECT_TRUE(says(one, "server time; now it is 2026-02-10T00:00:00Z"));
  EXPECT_TRUE(says(one, "Plan 30d keeps it until 2026-01-31T00:00:00Z at least, as its receipt says."));
  EXPECT_TRUE(says(one, "that date has not come"));
  EXPECT_TRUE(says(one, "deleted no earlier than 2026-02-14T00:00:00Z"));
  one.set_lock_not_before_ns(kStart + 35 * kDay);
  EXPECT_TRUE(says(one, "the receipt promised 2026-01-31T00:00:00Z."));
  one = story("live", "pause");
  one.add_newest_good_of("the client as a whole");
  one.add_newest_good_of("db\x1b[31m");
  EXPECT_TRUE(says(one, "a pause holds it"));
  EXPECT_TRUE(says(one, "(the client as a whole, db\\x1b[31m)"));
  EXPECT_TRUE(says(story("live", "cap"), "locks only so many"));
  EXPECT_TRUE(says(story("live", "next-pass"), "the next purge locks it"));
}

TEST(Explain, SaysWhoLockedASnapshotAndWhenItEnds) {
  v1::SnapshotStory one = story("locked", "delete-delay");
  EXPECT_TRUE(says(one, "locked since 2026-02-01T00:00:00Z by its age"));
  EXPECT_TRUE(says(one, "the delay between lock and deletion is not over"));
  one.set_locked_by_operator(true);
  one.set_locked_by("eve\n");
  EXPECT_TRUE(says(one, "by operator eve\\x0a"));
  EXPECT_TRUE(says(story("locked", "next-pass"), "the next purge deletes it"));
}

TEST(Explain, SaysWhatIsLeftOfADeletedOne) {
  v1::SnapshotStory one = story("deleted", "");
  EXPECT_TRUE(says(one, "deleted on 2026-02-16T00:00:00Z, which cannot be undone"));
  EXPECT_TRUE(says(one, "collection has not yet looked"));
  one.set_released(true);
  one.set_remains(1);
  EXPECT_TRUE(says(one, "still stand in 1 pack;"));
  one.set_frozen("a fork");
  EXPECT_TRUE(says(one, "Nothing of this tenant is destroyed at present: a fork."));
  one = story("erased", "");
  one.set_gone_by(true);
  EXPECT_TRUE(says(one, "erased on 2026-02-20T00:00:00Z: nothing of it is left"));
  EXPECT_FALSE(says(one, "promises a date"));
  one = story("live", "age");
  one.set_gone_by(true);
  EXPECT_TRUE(says(one, "so no pause holds it"));
}

TEST(Explain, JsonHasNullForWhatHasNoDate) {
  const console::Json json = to_json(story("live", "age"));
  EXPECT_TRUE(json["locked"].is_null());
  EXPECT_TRUE(json["remaining_packs"].is_null());
  EXPECT_EQ(json["delete_not_before"], "2026-02-14T00:00:00Z");
  EXPECT_EQ(json["rule"], "age");
}

TEST(PurgeText, NamesWhatWasDoneAndWhatIsHeldAndWhy) {
  v1::PurgeReport report;
  report.set_tenant("acme");
  report.set_now_ns(kStart);
  report.set_wall_ns(kStart + 3 * kDay);
  v1::LifeRow row;
  row.set_client("acme/shop");
  row.set_sequence(7);
  row.set_id(std::string(32, '\x4f'));
  row.set_date_ns(kStart + kDay);
  *report.add_deleted() = *report.add_locked() = *report.add_paused() = row;
  EXPECT_FALSE(is_held(report));  // what a pause holds is as it should be
  std::string said = text(sentences_of(report));
  EXPECT_NE(said.find("1 snapshot deleted, 1 locked"), std::string::npos) << said;
  EXPECT_NE(said.find("  deleted: acme/shop/7 4f4f4f4f4f4f, locked since 2026-01-02"), std::string::npos) << said;
  EXPECT_NE(said.find("  locked: acme/shop/7 4f4f4f4f4f4f, deleted no earlier than 2026-01-02"), std::string::npos);
  EXPECT_NE(said.find("due since 2026-01-02T00:00:00Z: the newest good snapshot"), std::string::npos) << said;
  EXPECT_NE(said.find("nothing has a date"), std::string::npos) << said;
  report.set_dry_run(true);
  report.set_next_ns(kStart);
  report.set_held_by_cap(5);
  report.set_lock_cap(10);
  EXPECT_TRUE(is_held(report));
  report.set_held_by_clock(2);
  said = text(sentences_of(report));
  EXPECT_NE(said.find("1 snapshot would be deleted, 1 would be locked"), std::string::npos) << said;
  EXPECT_NE(said.find("5 snapshots by the cap: one purge locks at most 10"), std::string::npos) << said;
  EXPECT_NE(said.find("2 snapshots by the clock: server time is 2026-01-01T00:00:00Z"), std::string::npos) << said;
  EXPECT_NE(said.find("counts only when that gap is confirmed, which no command of this version does"),
            std::string::npos);
  EXPECT_NE(said.find("something is due on 2026-01-01"), std::string::npos) << said;
  report.set_held_by_cap(0);
  EXPECT_TRUE(is_held(report));
  EXPECT_EQ(to_json(report)["paused"][0]["due"], "2026-01-02T00:00:00Z");
  report.set_error_code(8);
  report.set_error_message("frozen\n");
  EXPECT_EQ(text(sentences_of(report)), "tenant acme: not purged: frozen\\x0a\n");
}

}  // namespace
}  // namespace holdfast::ctl
