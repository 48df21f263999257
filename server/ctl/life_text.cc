#include "server/ctl/life_text.h"

#include <nlohmann/json.hpp>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/console/format.h"

namespace holdfast::ctl {
namespace {

using console::Json;
using Sentences = std::vector<std::string>;

Json time_json(std::int64_t ns) { return ns == 0 ? Json(nullptr) : Json(rfc3339(from_ns(ns))); }
std::string time_text(std::int64_t ns) { return rfc3339(from_ns(ns)); }
std::string hex(const std::string& id) { return to_hex(as_bytes(id)); }

std::string name_of(const std::string& client, std::uint64_t sequence, const std::string& id) {
  return printable(client) + "/" + std::to_string(sequence) + " " + hex(id).substr(0, 12);
}

// ---- one snapshot ----

std::string listed_sources(const v1::SnapshotStory& story) {
  std::string out;
  for (const std::string& source : story.newest_good_of()) out += (out.empty() ? "" : ", ") + printable(source);
  return out;
}

std::string paused_sentence(const v1::SnapshotStory& story) {
  return "It is the newest good snapshot of a registered source (" + listed_sources(story) +
         ") and stays until a newer good one comes, or until the source is retired (`holdfastctl source retire`, "
         "`holdfastctl client retire`).";
}

void add_live(const v1::SnapshotStory& story, Sentences& out) {
  out.push_back("It is live: its client sees it and can restore it.");
  out.push_back("Plan " + printable(story.plan()) + " keeps it until " + time_text(story.lock_not_before_ns()) +
                " at least" +
                (story.lock_not_before_ns() > story.promised_lock_ns()
                     ? "; the receipt promised " + time_text(story.promised_lock_ns()) + "."
                     : ", as its receipt says."));
  if (story.rule() == "age")
    out.push_back("Why it is kept: that date has not come. The first purge from then on locks it.");
  if (story.rule() == "pause") out.push_back("Why it is kept: that date has passed, but a pause holds it.");
  if (story.rule() == "cap")
    out.push_back("Why it is kept: that date has passed, but one purge locks only so many, and older ones go first.");
  if (story.rule() == "next-pass") out.push_back("That date has passed: the next purge locks it.");
  if (story.newest_good_of_size() > 0) out.push_back(paused_sentence(story));
  out.push_back("It is deleted no earlier than " + time_text(story.delete_not_before_ns()) +
                ", and only after it was locked.");
}

void add_locked(const v1::SnapshotStory& story, Sentences& out) {
  out.push_back("It has been locked since " + time_text(story.locked_ns()) + " by " +
                (story.locked_by_operator() ? "operator " + printable(story.locked_by()) : std::string("its age")) +
                ": hidden from its client, and taken back by `holdfastctl snapshot undelete` until it is deleted.");
  out.push_back("It is deleted no earlier than " + time_text(story.delete_not_before_ns()) + ".");
  if (story.rule() == "pause") out.push_back("Why it is kept: that date has passed, but a pause holds it.");
  if (story.rule() == "delete-delay") out.push_back("Why it is kept: the delay between lock and deletion is not over.");
  if (story.rule() == "next-pass") out.push_back("That date has passed: the next purge deletes it.");
  if (story.newest_good_of_size() > 0) out.push_back(paused_sentence(story));
}

void add_ended(const v1::SnapshotStory& story, Sentences& out) {
  out.push_back("It was locked on " + time_text(story.locked_ns()) + " and deleted on " +
                time_text(story.deleted_ns()) + ", which cannot be undone.");
  if (story.state() == "erased")
    out.push_back("It was erased on " + time_text(story.erased_ns()) + ": nothing of it is left on this server.");
  else if (!story.released())
    out.push_back("Its bytes are still stored: collection has not yet looked what nothing else refers to.");
  else
    out.push_back("Bytes that only it referred to still stand in " + console::counted(story.remains(), "pack") +
                  "; it is erased when they are removed.");
}

// ---- a purge ----

Json rows_json(const google::protobuf::RepeatedPtrField<v1::LifeRow>& rows, const char* date) {
  Json out = Json::array();
  for (const v1::LifeRow& row : rows) {
    out.push_back({{"client", row.client()},
                   {"sequence", row.sequence()},
                   {"id", hex(row.id())},
                   {date, time_json(row.date_ns())}});
  }
  return out;
}

void add_held(const v1::PurgeReport& report, Sentences& out) {
  for (const v1::LifeRow& row : report.paused()) {
    out.push_back("  held: " + name_of(row.client(), row.sequence(), row.id()) + ", due since " +
                  time_text(row.date_ns()) + ": the newest good snapshot of a registered source");
  }
  if (report.held_by_cap() > 0) {
    out.push_back("  held: " + console::counted(report.held_by_cap(), "snapshot") +
                  " by the cap: one purge locks at most " + std::to_string(report.lock_cap()) +
                  "; the next one goes on. Were so many expected?");
  }
  if (report.held_by_clock() > 0) {
    out.push_back("  held: " + console::counted(report.held_by_clock(), "snapshot") + " by the clock: server time is " +
                  time_text(report.now_ns()) + ", the wall clock says " + time_text(report.wall_ns()) +
                  "; what lies between counts only when that gap is confirmed, which no command of this version does");
  }
}

}  // namespace

Sentences sentences_of(const v1::SnapshotStory& story) {
  Sentences out;
  out.push_back("Snapshot " + name_of(story.client(), story.sequence(), story.id()) + ", received " +
                time_text(story.received_wall_ns()) + ". All other times are server time; now it is " +
                time_text(story.now_ns()) + ".");
  if (story.state() == "live")
    add_live(story, out);
  else if (story.state() == "locked")
    add_locked(story, out);
  else
    add_ended(story, out);
  if (story.gone_by() && story.state() != "erased")
    out.push_back("Its plan promises a date by which it is gone, so no pause holds it.");
  if (!story.frozen().empty() && story.state() != "erased")
    out.push_back("Nothing of this tenant is destroyed at present: " + printable(story.frozen()) + ".");
  return out;
}

Json to_json(const v1::SnapshotStory& story) {
  Json sources = Json::array();
  for (const std::string& one : story.newest_good_of()) sources.push_back(one);
  return {{"client", story.client()},
          {"sequence", story.sequence()},
          {"id", hex(story.id())},
          {"state", story.state()},
          {"plan", story.plan()},
          {"rule", story.rule().empty() ? Json(nullptr) : Json(story.rule())},
          {"server_time", time_json(story.now_ns())},
          {"received", time_json(story.received_wall_ns())},
          {"committed", time_json(story.committed_ns())},
          {"promised_lock_not_before", time_json(story.promised_lock_ns())},
          {"lock_not_before", time_json(story.lock_not_before_ns())},
          {"locked", time_json(story.locked_ns())},
          {"locked_by", story.locked_by_operator() ? Json(story.locked_by()) : Json(nullptr)},
          {"delete_not_before", time_json(story.delete_not_before_ns())},
          {"deleted", time_json(story.deleted_ns())},
          {"erased", time_json(story.erased_ns())},
          {"remaining_packs", story.released() ? Json(story.remains()) : Json(nullptr)},
          {"newest_good_of", std::move(sources)},
          {"gone_by", story.gone_by()},
          {"frozen", story.frozen().empty() ? Json(nullptr) : Json(story.frozen())}};
}

bool is_held(const v1::PurgeReport& report) { return report.held_by_cap() > 0 || report.held_by_clock() > 0; }

Sentences sentences_of(const v1::PurgeReport& report) {
  Sentences out;
  const std::string tenant = "tenant " + printable(report.tenant());
  if (report.error_code() != 0) {
    out.push_back(tenant + ": not purged: " + printable(report.error_message()));
    return out;
  }
  const std::string would = report.dry_run() ? "would be " : "";
  out.push_back(tenant + ", server time " + time_text(report.now_ns()) + ": " +
                console::counted(static_cast<std::uint64_t>(report.deleted_size()), "snapshot") + " " + would +
                "deleted, " + std::to_string(report.locked_size()) + " " + would + "locked");
  for (const v1::LifeRow& row : report.deleted()) {
    out.push_back("  " + would + "deleted: " + name_of(row.client(), row.sequence(), row.id()) + ", locked since " +
                  time_text(row.date_ns()));
  }
  for (const v1::LifeRow& row : report.locked()) {
    out.push_back("  " + would + "locked: " + name_of(row.client(), row.sequence(), row.id()) +
                  ", deleted no earlier than " + time_text(row.date_ns()));
  }
  add_held(report, out);
  out.push_back(report.next_ns() == 0 ? "  next: nothing has a date"
                                      : "  next: something is due on " + time_text(report.next_ns()));
  return out;
}

Json to_json(const v1::PurgeReport& report) {
  Json out = {{"tenant", report.tenant()}, {"dry_run", report.dry_run()}};
  if (report.error_code() != 0) {
    out["error"] = report.error_message();
    return out;
  }
  out["server_time"] = time_json(report.now_ns());
  out["wall_time"] = time_json(report.wall_ns());
  out["deleted"] = rows_json(report.deleted(), "locked");
  out["locked"] = rows_json(report.locked(), "delete_not_before");
  out["paused"] = rows_json(report.paused(), "due");
  out["lock_cap"] = report.lock_cap();
  out["held_by_cap"] = report.held_by_cap();
  out["held_by_clock"] = report.held_by_clock();
  out["next"] = time_json(report.next_ns());
  return out;
}

Json to_json(const v1::SourceInfo& source) {
  Json out = {{"client", source.client()},
              {"source", source.source().empty() ? Json(nullptr) : Json(hex(source.source()))},
              {"registered", source.registered()},
              {"listed", source.listed()},
              {"label", source.label()},
              {"newest_good", nullptr}};
  if (source.has_newest_good()) {
    out["newest_good"] = {{"sequence", source.newest_good().sequence()},
                          {"id", hex(source.newest_good().id())},
                          {"received", time_json(source.newest_good_wall_ns())}};
  }
  return out;
}

void show_sources(console::Console& out, const std::vector<v1::SourceInfo>& sources) {
  console::Table table({{"CLIENT"}, {"SOURCE"}, {"LABEL"}, {"STATE"}, {"NEWEST GOOD"}, {"RECEIVED"}});
  for (const v1::SourceInfo& one : sources) {
    const std::string state = one.registered() ? "registered" : one.listed() ? "retired" : "seen";
    table.row({one.client(), one.source().empty() ? "the client as a whole" : hex(one.source()), one.label(), state,
               one.has_newest_good() ? std::to_string(one.newest_good().sequence()) : "-",
               one.has_newest_good() ? time_text(one.newest_good_wall_ns()) : "-"});
  }
  out.print(table);
}

}  // namespace holdfast::ctl
