#include <gtest/gtest.h>

#include "client/chunking/chunker.h"

namespace holdfast::chunking {
namespace {

constexpr std::uint64_t kBig = 64u << 20;

Bytes head_of(std::string_view text) {
  Bytes head = to_bytes(as_bytes(text));
  head.resize(kHeadBytes, 'x');
  return head;
}

/// Two pages as a relation file of PostgreSQL begins.
Bytes postgresql_pages() {
  Bytes head(kHeadBytes, 0);
  for (const std::size_t page : {0u, 8192u}) {
    head[page + 18] = 4;     // layout version
    head[page + 19] = 0x20;  // page size 8192 = 0x2000
  }
  return head;
}

TEST(ClassOf, SqliteIsToldByItsHeader) {
  Bytes head = head_of("SQLite format 3");
  EXPECT_EQ(class_of("/var/app.db", kBig, head), Class::Files);  // the mark ends with a zero byte
  head[15] = 0;
  EXPECT_EQ(class_of("/var/app.db", kBig, head), Class::Database);
  EXPECT_EQ(class_of("/var/anything", 16, ByteSpan(head).first(16)), Class::Database);
  EXPECT_EQ(class_of("/var/app.db", kBig, ByteSpan(head).first(15)), Class::Files);
  EXPECT_EQ(class_of("/dump.sql", kBig, head), Class::Database) << "what stands in it weighs more than its name";
}

TEST(ClassOf, PostgresqlIsToldByItsPages) {
  Bytes head = postgresql_pages();
  const std::string path = "/var/lib/postgresql/15/main/base/5/16384";
  EXPECT_EQ(class_of(path, 16384, head), Class::Database);
  EXPECT_EQ(class_of(path, 8192, ByteSpan(head).first(8192)), Class::Database);  // one page
  EXPECT_EQ(class_of(path, 16385, head), Class::Files) << "not whole pages";
  EXPECT_EQ(class_of(path, 16384, ByteSpan(head).first(19)), Class::Files) << "cut short";
  head[8192 + 18] = 0;  // a page that was never written
  EXPECT_EQ(class_of(path, 16384, head), Class::Database);
  head[8192 + 18] = 7;
  EXPECT_EQ(class_of(path, 16384, head), Class::Files);
  head = postgresql_pages();
  head[18] = 3;
  EXPECT_EQ(class_of(path, 16384, head), Class::Files);
}

TEST(ClassOf, InnodbIsToldByItsNames) {
  const Bytes head(kHeadBytes, 0);
  for (const char* path : {"/var/lib/mysql/shop/orders.ibd", "/var/lib/mysql/ibdata1", "/var/lib/mysql/undo_001",
                           "/var/lib/mysql/x.ibu", "ibdata1"}) {
    EXPECT_EQ(class_of(path, kBig, head), Class::Database) << path;
  }
  for (const char* path : {"/var/lib/mysql/.ibd", "/srv/ibdata1/notes", "/srv/a.ibd.gz", "/srv/redo_log"}) {
    EXPECT_EQ(class_of(path, kBig, head), Class::Files) << path;
  }
}

TEST(ClassOf, DumpsAreToldByTheirFirstLine) {
  for (const char* start : {"--\n-- PostgreSQL database dump\n--\n", "--\n-- PostgreSQL database cluster dump\n--\n",
                            "-- MySQL dump 10.13  Distrib 8.0.36\n", "-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n",
                            "/*!999999\\- enable the sandbox mode */ \n-- MariaDB dump",
                            "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"}) {
    EXPECT_EQ(class_of("/srv/nightly", kBig, head_of(start)), Class::Stream) << start;
    EXPECT_EQ(class_of("/srv/nightly", 1u << 20, head_of(start)), Class::Stream) << start;
    EXPECT_EQ(class_of("/srv/nightly", (1u << 20) - 1, head_of(start)), Class::Files) << "small: " << start;
  }
  EXPECT_EQ(class_of("/srv/nightly", kBig, head_of("-- a note of mine")), Class::Files);
}

TEST(ClassOf, BigFilesNamedSqlAreDumpsAndSmallOnesAreFiles) {
  EXPECT_EQ(class_of("/srv/shop.sql", kBig, head_of("CREATE TABLE")), Class::Stream);
  EXPECT_EQ(class_of("/srv/shop.sql", 1u << 20, {}), Class::Stream);
  EXPECT_EQ(class_of("/srv/schema.sql", (1u << 20) - 1, head_of("CREATE TABLE")), Class::Files);
  EXPECT_EQ(class_of("/srv/shop.sql.gz", kBig, head_of("\x1f\x8b")), Class::Files);
  EXPECT_EQ(class_of("/srv/.sql", kBig, head_of("")), Class::Files);
}

TEST(ClassOf, AnythingElseIsAFile) {
  EXPECT_EQ(class_of("/etc/passwd", 0, {}), Class::Files);
  EXPECT_EQ(class_of("", 0, {}), Class::Files);
  EXPECT_EQ(class_of("/srv/zeros", kBig, Bytes(kHeadBytes, 0)), Class::Files);
}

}  // namespace
}  // namespace holdfast::chunking
