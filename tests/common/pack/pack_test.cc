#include <gtest/gtest.h>

#include "common/crypto/hash.h"
#include "common/pack/layout.h"
#include "tests/common/crypto/vector_file.h"
#include "tests/common/pack/samples.h"

namespace holdfast::pack {
namespace {

MemoryPack sample_pack() {
  auto pack = write_pack(sample_records());
  EXPECT_TRUE(pack) << pack.error().message;
  return *std::move(pack);
}

/// A file of the records' bytes whose header and footer say what they are told to, digests right.
Bytes forge(const Footer& footer, const std::vector<Bytes>& records) {
  const Bytes header = encode_header(footer.id, footer.store_epoch, footer.kind);
  const Bytes encoded = encode_footer(footer);
  ByteWriter w;
  w.raw(header);
  for (const Bytes& record : records) w.raw(record);
  w.raw(encoded).raw(encode_trailer(encoded.size(), footer_digest(header, encoded)));
  return w.take();
}

TEST(PackWriter, WritesWhatTheReaderFindsAgain) {
  const MemoryPack pack = sample_pack();
  const auto read = read_footer(pack.bytes.size(), reader_of(pack.bytes));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->footer, pack.finished.footer);
  EXPECT_EQ(read->footer_digest, pack.finished.footer_digest);
  EXPECT_EQ(pack.finished.total_bytes, pack.bytes.size());
  EXPECT_EQ(read->footer.id, counted<PackId>(0xA0));
  EXPECT_EQ(read->footer.store_epoch, 0x0102030405060708u);

  const std::vector<Bytes> records = sample_records();
  ASSERT_EQ(read->footer.entries.size(), records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto record = read_record(read->footer.entries[i], reader_of(pack.bytes));
    ASSERT_TRUE(record) << record.error().message;
    EXPECT_EQ(*record, records[i]);
  }
  EXPECT_EQ(read->footer.entries[1].children.size(), 2u);
}

TEST(PackWriter, WritesTheVector) {
  const auto cases = holdfast::testing::read_vectors("pack/pack.txt");
  ASSERT_EQ(cases.size(), 1u);
  const MemoryPack pack = sample_pack();
  EXPECT_EQ(to_hex(pack.bytes), to_hex(cases[0]["pack"]));
  EXPECT_EQ(pack.finished.footer_digest, cases[0].id<Digest>("footer_digest"));
  EXPECT_TRUE(read_all(cases[0]["pack"]));
}

TEST(PackReader, RefusesTheBadVectorsAsTheySay) {
  for (const auto& bad : holdfast::testing::read_vectors("pack/bad.txt")) {
    const Status status = read_all(bad["pack"]);
    ASSERT_FALSE(status) << bad.text("why");
    EXPECT_EQ(static_cast<std::uint64_t>(status.error().code), bad.number("errc"))
        << bad.text("why") << ": " << status.error().message;
  }
}

TEST(PackWriter, RefusesTypesThatTheKindDoesNotHold) {
  const std::vector<Bytes> records = sample_records();
  EXPECT_TRUE(write_pack({records[0], records[2]}, Kind::Data));
  EXPECT_TRUE(write_pack({records[1]}, Kind::Segments));
  EXPECT_EQ(write_pack({records[1]}, Kind::Data).error().code, Errc::Usage);
  EXPECT_EQ(write_pack({records[0]}, Kind::Segments).error().code, Errc::Usage);
}

TEST(PackWriter, RefusesToFinishWithoutBlobsOrTwice) {
  std::size_t written = 0;
  PackWriter writer(counted<PackId>(1), 1, Kind::Data, [&written](ByteSpan bytes) -> Status {
    written += bytes.size();
    return {};
  });
  EXPECT_EQ(writer.bytes(), 0u);
  EXPECT_EQ(writer.finish().error().code, Errc::Usage);
  EXPECT_EQ(written, 0u) << "an empty pack leaves nothing behind";

  ASSERT_TRUE(add_record(writer, sample_records()[0]));
  EXPECT_EQ(writer.bytes(), written);
  ASSERT_TRUE(writer.finish());
  EXPECT_EQ(writer.finish().error().code, Errc::Usage);
  EXPECT_EQ(add_record(writer, sample_records()[0]).error().code, Errc::Usage);
}

TEST(PackWriter, HandsOutTheSinksErrorAndIsDone) {
  for (int good_writes = 0; good_writes < 4; ++good_writes) {
    int left = good_writes;
    PackWriter writer(counted<PackId>(1), 1, Kind::Data, [&left](ByteSpan) -> Status {
      if (left-- > 0) return {};
      return Error{Errc::DiskFull, "no space"};
    });
    Status status = add_record(writer, sample_records()[0]);
    if (status) {
      const auto finished = writer.finish();
      ASSERT_FALSE(finished) << good_writes;
      status = finished.error();
    }
    EXPECT_EQ(status.error().code, Errc::DiskFull);
    EXPECT_EQ(writer.finish().error().code, Errc::Usage);
  }
}

TEST(PackWriter, IsFullAtItsTargetAndStillTakesTheLargestRecordJustBefore) {
  // Leaves with as many children as they may have, and the smallest bodies: the worst for the footer.
  std::vector<blob::BlobRef> children(blob::kMaxChildren);
  for (std::size_t i = 0; i < children.size(); ++i) {
    children[i].blob.bytes[0] = static_cast<std::uint8_t>(i >> 8);
    children[i].blob.bytes[1] = static_cast<std::uint8_t>(i);
  }
  const Bytes large = sample_record(1, blob::Type::Leaf, children, 1);
  MemoryPack pack;
  PackWriter writer(counted<PackId>(1), 1, Kind::Segments, [&pack](ByteSpan bytes) -> Status {
    pack.bytes.insert(pack.bytes.end(), bytes.begin(), bytes.end());
    return {};
  });
  while (!writer.full()) ASSERT_TRUE(add_record(writer, large));
  EXPECT_GE(writer.bytes(), kTargetBytes);

  // Beyond that it goes on until a limit, says so, and can still be finished.
  Status status;
  while (status = add_record(writer, large), status) {
  }
  EXPECT_EQ(status.error().code, Errc::Limit);
  EXPECT_LE(writer.bytes(), kMaxBytes);
  ASSERT_TRUE(writer.finish());
  const auto read = read_footer(pack.bytes.size(), reader_of(pack.bytes));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->footer.entries.back().children, children);
}

TEST(PackWriter, IsFullAtTheMostBlobs) {
  const Bytes record = sample_record(1, blob::Type::Data, {}, 1);
  const auto view = blob::decode_record(record);
  ASSERT_TRUE(view);
  PackWriter writer(counted<PackId>(1), 1, Kind::Data, [](ByteSpan) -> Status { return {}; });
  for (std::size_t i = 0; i < kMaxBlobs; ++i) {
    ASSERT_FALSE(writer.full());
    ASSERT_TRUE(writer.add(record, *view, Digest{}));
  }
  EXPECT_TRUE(writer.full());
  EXPECT_EQ(writer.add(record, *view, Digest{}).error().code, Errc::Limit);
  EXPECT_EQ(writer.blob_count(), kMaxBlobs);
}

TEST(PackReader, RefusesAPackCutAtAnyLength) {
  const MemoryPack pack = sample_pack();
  for (std::size_t n = 0; n < pack.bytes.size(); ++n) {
    const ByteSpan cut = ByteSpan(pack.bytes).first(n);
    const auto read = read_footer(n, reader_of(cut));
    ASSERT_FALSE(read) << n;
  }
}

TEST(PackReader, RefusesAPackWithBytesTooMany) {
  MemoryPack pack = sample_pack();
  pack.bytes.push_back(0);
  EXPECT_FALSE(read_all(pack.bytes));
  pack.bytes.pop_back();
  pack.bytes.insert(pack.bytes.begin(), 0);
  EXPECT_FALSE(read_all(pack.bytes));
}

TEST(PackReader, NoticesEveryFlippedBit) {
  const MemoryPack pack = sample_pack();
  const std::size_t records_end =
      pack.finished.footer.entries.back().offset + pack.finished.footer.entries.back().length;
  for (std::size_t bit = 0; bit < pack.bytes.size() * 8; ++bit) {
    Bytes bad = pack.bytes;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    const bool in_records = bit / 8 >= kHeaderBytes && bit / 8 < records_end;
    EXPECT_EQ(read_footer(bad.size(), reader_of(bad)).has_value(), in_records) << "bit " << bit;
    EXPECT_FALSE(read_all(bad)) << "bit " << bit;
  }
}

TEST(PackReader, NoticesTheFlippedByteOfALargePackToo) {
  // Footer and tail need reads of their own here.
  std::vector<Bytes> records;
  for (int i = 0; i < 600; ++i) records.push_back(sample_record(static_cast<std::uint8_t>(i), blob::Type::Data));
  const auto pack = write_pack(records);
  ASSERT_TRUE(pack);
  ASSERT_TRUE(read_all(pack->bytes));
  for (std::size_t i = 0; i < pack->bytes.size(); i += i < kHeaderBytes ? 1 : 997) {
    Bytes bad = pack->bytes;
    bad[i] ^= 0x10;
    EXPECT_FALSE(read_all(bad)) << "byte " << i;
  }
}

TEST(PackReader, NeedsFewReads) {
  const auto count_reads = [](const MemoryPack& pack) {
    int reads = 0;
    const RangeReader read = reader_of(pack.bytes);
    EXPECT_TRUE(read_footer(pack.bytes.size(), [&](std::uint64_t offset, std::uint64_t length) {
      ++reads;
      return read(offset, length);
    }));
    return reads;
  };
  EXPECT_EQ(count_reads(sample_pack()), 1);
  std::vector<Bytes> records(20, sample_record(1, blob::Type::Data, {}, 100'000));
  EXPECT_EQ(count_reads(*write_pack(records)), 2);
  records.assign(600, sample_record(1, blob::Type::Data));
  EXPECT_EQ(count_reads(*write_pack(records)), 3);
}

TEST(PackReader, RefusesAFooterLongerThanThePack) {
  MemoryPack pack = sample_pack();
  const std::size_t at = pack.bytes.size() - kTrailerBytes;
  for (const std::uint64_t length : {std::uint64_t{0}, pack.bytes.size() - kTrailerBytes - kHeaderBytes + 1,
                                     std::uint64_t{kMaxFooterBytes} + 1, ~std::uint64_t{0}}) {
    for (std::size_t i = 0; i < 8; ++i) pack.bytes[at + i] = static_cast<std::uint8_t>(length >> (8 * i));
    EXPECT_FALSE(read_all(pack.bytes)) << length;
  }
}

TEST(PackReader, RefusesSizesThatNoPackHas) {
  const RangeReader never = [](std::uint64_t, std::uint64_t) -> Result<Bytes> {
    ADD_FAILURE() << "nothing should be read";
    return Bytes{};
  };
  EXPECT_EQ(read_footer(0, never).error().code, Errc::Corrupt);
  EXPECT_EQ(read_footer(100, never).error().code, Errc::Corrupt);
  EXPECT_EQ(read_footer(~std::uint64_t{0}, never).error().code, Errc::Limit);
}

TEST(PackReader, HandsOutTheStoresErrors) {
  const MemoryPack pack = sample_pack();
  const RangeReader broken = [](std::uint64_t, std::uint64_t) -> Result<Bytes> { return Error{Errc::Io, "disk"}; };
  EXPECT_EQ(read_footer(pack.bytes.size(), broken).error().code, Errc::Io);
  EXPECT_EQ(read_record(pack.finished.footer.entries[0], broken).error().code, Errc::Io);
  const RangeReader short_one = [](std::uint64_t, std::uint64_t length) -> Result<Bytes> { return Bytes(length / 2); };
  EXPECT_EQ(read_footer(pack.bytes.size(), short_one).error().code, Errc::Corrupt);
  EXPECT_EQ(read_record(pack.finished.footer.entries[0], short_one).error().code, Errc::Corrupt);
}

// Digests that match prove only who wrote the bytes last: the entries must make sense all the same.
TEST(PackReader, RefusesFootersThatAreSealedButWrong) {
  const std::vector<Bytes> records = sample_records();
  const Footer good = sample_pack().finished.footer;
  ASSERT_TRUE(read_all(forge(good, records)));

  const auto refused = [&](const char* what, const std::function<void(Footer&)>& change) {
    Footer bad = good;
    change(bad);
    const Bytes bytes = forge(bad, records);
    const auto read = read_footer(bytes.size(), reader_of(bytes));
    ASSERT_FALSE(read) << what;
    EXPECT_EQ(read.error().code, Errc::Corrupt) << what << ": " << read.error().message;
  };
  refused("a gap", [](Footer& f) { f.entries[1].offset += 1; });
  refused("an overlap", [](Footer& f) { f.entries[1].offset -= 1; });
  refused("a wrap", [](Footer& f) { f.entries[1].offset = ~std::uint64_t{0}; });
  refused("another order", [](Footer& f) { std::swap(f.entries[0], f.entries[1]); });
  refused("the last blob left out", [](Footer& f) { f.entries.pop_back(); });
  refused("the first blob left out", [](Footer& f) { f.entries.erase(f.entries.begin()); });
  refused("no blobs", [](Footer& f) { f.entries.clear(); });
  refused("a longer last record", [](Footer& f) { f.entries[2].length += 1; });
  refused("a shorter last record", [](Footer& f) { f.entries[2].length -= 1; });
  refused("an impossible length", [](Footer& f) { f.entries[0].length = 10; });
  refused("an endless length", [](Footer& f) { f.entries[2].length = ~std::uint32_t{0}; });
  refused("type 0", [](Footer& f) { f.entries[0].type = static_cast<blob::Type>(0); });
  refused("type 200", [](Footer& f) { f.entries[0].type = static_cast<blob::Type>(200); });
  refused("children of a data blob", [](Footer& f) { f.entries[2].children = f.entries[1].children; });
  refused("children in another order",
          [](Footer& f) { std::swap(f.entries[1].children[0], f.entries[1].children[1]); });
  refused("a child twice", [](Footer& f) { f.entries[1].children[1] = f.entries[1].children[0]; });
  refused("a kind that does not hold leaves", [](Footer& f) { f.kind = Kind::Data; });
  refused("an unknown kind", [](Footer& f) { f.kind = static_cast<Kind>(9); });
}

TEST(PackReader, RefusesAHeaderOfAnotherPack) {
  const std::vector<Bytes> records = sample_records();
  const Footer footer = sample_pack().finished.footer;
  const Bytes encoded = encode_footer(footer);
  for (const Bytes& header : {encode_header(counted<PackId>(1), footer.store_epoch, footer.kind),
                              encode_header(footer.id, footer.store_epoch + 1, footer.kind),
                              encode_header(footer.id, footer.store_epoch, Kind::Segments)}) {
    ByteWriter w;
    w.raw(header);
    for (const Bytes& record : records) w.raw(record);
    w.raw(encoded).raw(encode_trailer(encoded.size(), footer_digest(header, encoded)));
    const auto read = read_footer(w.size(), reader_of(w.span()));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::Corrupt);
  }
}

TEST(PackReader, RefusesRecordsThatAreNotWhatTheFooterSays) {
  const MemoryPack pack = sample_pack();
  const RangeReader read = reader_of(pack.bytes);
  const std::vector<Entry>& entries = pack.finished.footer.entries;
  const auto refused = [&](const char* what, const std::function<void(Entry&)>& change) {
    Entry bad = entries[1];
    change(bad);
    const auto record = read_record(bad, read);
    ASSERT_FALSE(record) << what;
    EXPECT_EQ(record.error().code, Errc::Corrupt) << what;
  };
  ASSERT_TRUE(read_record(entries[1], read));
  refused("domain", [](Entry& e) { e.domain.bytes[0] ^= 1; });
  refused("epoch", [](Entry& e) { e.epoch ^= 1; });
  refused("blob", [](Entry& e) { e.blob.bytes[0] ^= 1; });
  refused("run", [](Entry& e) { e.run.bytes[0] ^= 1; });
  refused("type", [](Entry& e) { e.type = blob::Type::Index; });
  refused("children", [](Entry& e) { e.children.pop_back(); });
  refused("digest", [](Entry& e) { e.record_digest.bytes[31] ^= 1; });
  refused("offset", [](Entry& e) { e.offset += 1; });
  refused("length", [](Entry& e) { e.length -= 1; });
  refused("impossible length", [](Entry& e) { e.length = ~std::uint32_t{0}; });
  refused("another record", [&](Entry& e) {
    e.offset = entries[0].offset;
    e.length = entries[0].length;
  });
}

TEST(PackFooter, RefusesToBeCutAtAnyLengthOrToHaveBytesTooMany) {
  Bytes footer = encode_footer(sample_pack().finished.footer);
  for (std::size_t n = 0; n < footer.size(); ++n) {
    const auto decoded = decode_footer(ByteSpan(footer).first(n));
    ASSERT_FALSE(decoded) << n;
    EXPECT_EQ(decoded.error().code, Errc::Corrupt) << n;
  }
  footer.push_back(0);
  EXPECT_EQ(decode_footer(footer).error().code, Errc::Corrupt);
}

TEST(PackFooter, DecodesToNothingOrToWhatEncodesToTheSameBytes) {
  const Bytes footer = encode_footer(sample_pack().finished.footer);
  for (std::size_t i = 0; i < footer.size(); ++i) {
    for (const std::uint8_t flip : {0x01, 0x80, 0xFF}) {
      Bytes changed = footer;
      changed[i] ^= flip;
      const auto decoded = decode_footer(changed);
      if (decoded) {
        EXPECT_EQ(encode_footer(*decoded), changed) << "byte " << i;
      }
    }
  }
}

TEST(PackFooter, RefusesCountsThatAreNotThere) {
  const Bytes footer = encode_footer(sample_pack().finished.footer);
  for (const std::size_t at : {std::size_t{26}, kFooterHeadBytes + kEntryBytes - 4}) {
    Bytes bad = footer;
    bad[at] = bad[at + 1] = bad[at + 2] = bad[at + 3] = 0xFF;
    EXPECT_EQ(decode_footer(bad).error().code, Errc::Corrupt) << at;
  }
}

TEST(PackFooter, RefusesMoreBlobsThanAPackMayHave) {
  Footer footer = sample_pack().finished.footer;
  footer.entries.resize(1);
  footer.entries.resize(kMaxBlobs + 1, footer.entries[0]);
  for (std::size_t i = 1; i < footer.entries.size(); ++i) {
    footer.entries[i].offset = footer.entries[i - 1].offset + footer.entries[i - 1].length;
  }
  EXPECT_EQ(decode_footer(encode_footer(footer)).error().code, Errc::Limit);
  footer.entries.pop_back();
  EXPECT_TRUE(decode_footer(encode_footer(footer)));
}

TEST(PackNames, AreMadeOfEpochAndId) {
  const PackId id = counted<PackId>(0xA0);
  const std::string name = object_name(id, 0x1F);
  EXPECT_EQ(name, "packs/a0/000000000000001f-a0a1a2a3a4a5a6a7a8a9aaabacadaeaf.pack");
  const auto parsed = parse_object_name(name);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->first, id);
  EXPECT_EQ(parsed->second, 0x1Fu);
  EXPECT_EQ(parse_object_name(object_name(id, ~std::uint64_t{0}))->second, ~std::uint64_t{0});
}

TEST(PackNames, HaveOneSpellingOnly) {
  const std::string good = object_name(counted<PackId>(0xA0), 0x1F);
  const auto replaced = [&](std::size_t at, char c) {
    std::string name = good;
    name[at] = c;
    return name;
  };
  for (const std::string& bad :
       {std::string(), good + "x", good.substr(1), "/" + good, replaced(6, 'b'), replaced(8, '-'), replaced(9, 'g'),
        replaced(25, '_'), replaced(26, 'A'), replaced(good.size() - 1, 'K'), replaced(30, '/'), replaced(30, '\0')}) {
    const auto parsed = parse_object_name(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, Errc::Corrupt) << bad;
  }
}

}  // namespace
}  // namespace holdfast::pack
