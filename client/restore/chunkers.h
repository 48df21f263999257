#pragma once
// Why: an entry says with which parameters its content digest was made; whoever checks digests needs the chunker of that
// class, and most snapshots need one or two of them.

#include <map>

#include "client/chunking/chunker.h"

namespace holdfast::restore {

/// One thread at a time; the chunkers stay where they are until it is destroyed.
class Chunkers {
 public:
  explicit Chunkers(const crypto::Key& cut_key) : table_(chunking::make_gear_table(cut_key)) {}
  /// `chunk_class`: of an entry that was checked (manifest::check_entry refuses classes that this program does not know).
  const chunking::Chunker& of(chunking::Class chunk_class) {
    return made_.try_emplace(chunk_class, table_, chunk_class).first->second;
  }

 private:
  const chunking::GearTable table_;
  std::map<chunking::Class, chunking::Chunker> made_;
};

}  // namespace holdfast::restore
