#include "server/collect/recover.h"

#include <algorithm>

#include "common/base/log.h"
#include "server/collect/copies.h"

namespace holdfast::collect {
namespace {

using Records = std::vector<coordinator::NewRecord>;

// Published together: a crash repeats at most so many. Their footers are in memory.
constexpr std::size_t kPacksAtOnce = 64;

/// Packs that were live once. Orphans were never anybody's.
std::vector<journal::PackNote> trash_of(const tenant::Parts& parts) {
  return parts.state.read([](const tenant::State& s) {
    std::vector<journal::PackNote> out;
    for (const auto& [id, pack] : s.trash()) {
      if (pack.why != journal::CondemnPayload::Why::Orphan)
        out.push_back({id, pack.store_epoch, pack.bytes, pack.footer_digest});
    }
    return out;
  });
}

class Recovery {
 public:
  Recovery(tenant::Parts& parts, Survey& survey)
      : parts_(parts), survey_(survey), taken_(parts.env.random, 0), copies_(std::in_place, parts) {}

  Result<Recovered> run() {
    for (const journal::PackNote& pack : trash_of(parts_)) {
      HF_TRY_DO(survey_.go_on());
      HF_TRY_DO(look_into(pack));
      if (!failed_ && copies_->notes.size() >= kPacksAtOnce) HF_TRY_DO(publish());
      if (failed_) return std::move(out_);
    }
    HF_TRY_DO(publish());
    return std::move(out_);
  }

 private:
  /// Whatever one pack says when it is read, the others are looked at all the same. Errors: the index's.
  Status look_into(const journal::PackNote& note) {
    const Result<pack::Footer> footer = tenant::read_pack_footer(*parts_.store, note);
    // Unlinked by a pass that could not record it any more.
    if (!footer && footer.error().code == Errc::NotFound) return {};
    if (!footer) {
      leave("pack " + note.id.hex() + ": " + footer.error().message);
      return {};
    }
    const pack::RangeReader read = tenant::pack_ranges(*parts_.store, note);
    for (const pack::Entry& entry : footer->entries) {
      const Marks::Image image = taken_.image({entry.domain, entry.epoch}, entry.ref());
      if (taken_.contains(image)) continue;
      HF_TRY(const bool lost, survey_.is_lost(entry));
      if (!lost) continue;
      const Result<Bytes> record = pack::read_record(entry, read);
      if (!record)
        leave("pack " + note.id.hex() + ": " + record.error().message);
      else if (!copy(*record, entry))
        return {};
      else
        taken_.insert(image);
    }
    return {};
  }

  bool copy(const Bytes& record, const pack::Entry& entry) {
    Status copied = has_room_for_copies(parts_, record.size())
                        ? copies_->add(record, entry)
                        : Status{Error{Errc::DiskFull, "the disk has too little room for copies"}};
    if (!copied) {
      give_up(copied.error());
      return false;
    }
    blobs_ += 1;
    bytes_ += record.size();
    return true;
  }

  /// What is not published is no copy.
  void give_up(const Error& error) {
    leave(error.message);
    failed_ = true;
    blobs_ = bytes_ = 0;
    copies_.emplace(parts_);
  }
  void leave(const std::string& why) {
    if (out_.left++ == 0) out_.first_left = why;
  }

  Status publish() {
    if (const Status durable = copies_->finish(); !durable) {
      give_up(durable.error());
      return {};
    }
    if (copies_->notes.empty()) return {};
    const auto propose = [&](const tenant::State& state, const tenant::Stamp&) -> Result<Records> {
      if (state.frozen() != nullptr) return Error{Errc::Conflict, *state.frozen()};
      return Records{
          tenant::new_record(journal::Kind::Packs, journal::encode(journal::PacksPayload{{}, copies_->notes}))};
    };
    copies_->offer();
    const auto published = parts_.publisher->publish(tenant::Publisher::kAlone, propose, copies_->footers);
    if (!published) {
      copies_->withdraw();
      if (published.error().code != Errc::DiskFull) return published.error();
      give_up(published.error());
      return {};
    }
    copies_.emplace(parts_);
    out_.blobs += std::exchange(blobs_, 0);
    out_.bytes += std::exchange(bytes_, 0);
    return {};
  }

  tenant::Parts& parts_;
  Survey& survey_;
  Marks taken_;
  std::optional<Copies> copies_;
  bool failed_ = false;                  ///< the disk takes no copies
  std::uint64_t blobs_ = 0, bytes_ = 0;  ///< not published yet
  Recovered out_;
};

}  // namespace

Result<Recovered> recover_from_trash(tenant::Parts& parts, Survey& survey) {
  HF_TRY(const bool lacking, survey.lacks_anything());
  if (!lacking) return Recovered{};
  HF_TRY(Recovered done, Recovery(parts, survey).run());
  if (done.blobs > 0)
    log::warning("blobs taken back from the trash",
                 {{"directory", parts.directory}, {"blobs", done.blobs}, {"bytes", done.bytes}});
  return done;
}

}  // namespace holdfast::collect
