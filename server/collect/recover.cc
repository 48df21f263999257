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
      const Status looked = look_into(pack);
      if (!looked && !is_of_this_pack(looked.error())) return looked.error();
      if (!looked) out_.left.push_back("pack " + pack.id.hex() + ": " + looked.error().message);
      if (copies_->notes.size() >= kPacksAtOnce) HF_TRY_DO(publish());
    }
    HF_TRY_DO(publish());
    return std::move(out_);
  }

 private:
  /// The others are tried all the same.
  static bool is_of_this_pack(const Error& error) {
    return error.code == Errc::Corrupt || error.code == Errc::NotFound || error.code == Errc::Io ||
           error.code == Errc::DiskFull;
  }

  Status look_into(const journal::PackNote& note) {
    HF_TRY(const pack::Footer footer, tenant::read_pack_footer(*parts_.store, note));
    const pack::RangeReader read = tenant::pack_ranges(*parts_.store, note);
    for (const pack::Entry& entry : footer.entries) {
      const Marks::Image image = taken_.image({entry.domain, entry.epoch}, entry.ref());
      if (taken_.contains(image)) continue;
      HF_TRY(const bool needed, survey_.lacks(entry));
      if (!needed) continue;
      const Result<Bytes> record = pack::read_record(entry, read);
      if (!record) {
        out_.left.push_back("pack " + note.id.hex() + ": " + record.error().message);
        continue;
      }
      HF_TRY_DO(copies_->add(*record, entry));
      taken_.insert(image);
      blobs_ += 1;
      bytes_ += record->size();
    }
    return {};
  }

  Status publish() {
    if (const Status durable = copies_->finish(); !durable) {
      if (!is_of_this_pack(durable.error())) return durable;
      out_.left.push_back(durable.error().message);
      blobs_ = bytes_ = 0;
      copies_.emplace(parts_);
      return {};
    }
    if (copies_->notes.empty()) return {};
    const auto propose = [&](const tenant::State& state, const tenant::Stamp&) -> Result<Records> {
      if (state.frozen() != nullptr) return Error{Errc::Conflict, *state.frozen()};
      return Records{
          tenant::new_record(journal::Kind::Packs, journal::encode(journal::PacksPayload{{}, copies_->notes}))};
    };
    HF_TRY_DO(parts_.publisher->publish(tenant::Publisher::kAlone, propose, copies_->footers));
    copies_->published();
    copies_.emplace(parts_);
    out_.blobs += std::exchange(blobs_, 0);
    out_.bytes += std::exchange(bytes_, 0);
    return {};
  }

  tenant::Parts& parts_;
  Survey& survey_;
  Marks taken_;
  std::optional<Copies> copies_;
  std::uint64_t blobs_ = 0, bytes_ = 0;  ///< not published yet
  Recovered out_;
};

}  // namespace

Result<Recovered> recover_from_trash(tenant::Parts& parts, Survey& survey) {
  if (survey.missing() == 0 && parts.damage.none()) return Recovered{};
  HF_TRY(Recovered done, Recovery(parts, survey).run());
  if (done.blobs > 0)
    log::warning("blobs taken back from the trash",
                 {{"directory", parts.directory}, {"blobs", done.blobs}, {"bytes", done.bytes}});
  return done;
}

}  // namespace holdfast::collect
