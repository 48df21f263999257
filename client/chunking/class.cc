// How a file is best cut: told by what stands at its start, or by its name where the format has no mark.
#include "client/chunking/chunker.h"

namespace holdfast::chunking {
namespace {

constexpr std::uint64_t kSmallestDump = 1u << 20;  // below, finer cuts save less than their images cost

bool begins_with(ByteSpan head, std::string_view mark) {
  return head.size() >= mark.size() && as_text(head.first(mark.size())) == mark;
}

bool ends_with(std::string_view name, std::string_view end) {
  return name.size() > end.size() && name.substr(name.size() - end.size()) == end;
}

/// A page of PostgreSQL (storage/bufpage.h): at byte 18 the page size, 8192, together with the layout version, 4.
bool is_postgresql_page(ByteSpan page) {
  constexpr std::size_t kSizeAndVersion = 18;
  return page.size() > kSizeAndVersion + 1 && page[kSizeAndVersion] == 4 && page[kSizeAndVersion + 1] == 0x20;
}

bool is_postgresql_relation(std::uint64_t size, ByteSpan head) {
  constexpr std::size_t kPage = 8192;
  if (size % kPage != 0 || !is_postgresql_page(head)) return false;
  return head.size() < kPage + 20 || is_postgresql_page(head.subspan(kPage)) || head[kPage + 18] == 0;  // 0: a new page
}

bool is_innodb(std::string_view name) {
  return ends_with(name, ".ibd") || ends_with(name, ".ibu") || name.starts_with("ibdata") || name.starts_with("undo_");
}

bool is_sql_dump(std::string_view name, ByteSpan head) {
  constexpr std::string_view kMarks[] = {"--\n-- PostgreSQL database dump",
                                         "--\n-- PostgreSQL database cluster dump",
                                         "-- MySQL dump",
                                         "-- MariaDB dump",
                                         "/*!999999\\- enable the sandbox mode",
                                         "PRAGMA foreign_keys=OFF;"};
  for (const std::string_view mark : kMarks) {
    if (begins_with(head, mark)) return true;
  }
  return ends_with(name, ".sql");
}

}  // namespace

Class class_of(std::string_view path, std::uint64_t size, ByteSpan head) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  if (begins_with(head, std::string_view("SQLite format 3\0", 16)) || is_postgresql_relation(size, head) ||
      is_innodb(name)) {
    return Class::Database;
  }
  if (size >= kSmallestDump && is_sql_dump(name, head)) return Class::Stream;
  return Class::Files;
}

}  // namespace holdfast::chunking
