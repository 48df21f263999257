#include "common/base/bytes.h"

#include <gtest/gtest.h>

#include "common/base/ids.h"
#include "tests/support/seeded_random.h"

namespace holdfast {
namespace {

template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? Errc{} : result.error().code;
}

TEST(Hex, RoundTripsAndRefusesTheRest) {
  const Bytes all = {0x00, 0x0f, 0xa5, 0xff};
  EXPECT_EQ(to_hex(all), "000fa5ff");
  EXPECT_EQ(*from_hex("000fA5Ff"), all);
  EXPECT_EQ(*from_hex(""), Bytes{});
  for (const char* bad : {"0", "0g", "g0", " 0", "0x00", "00 "}) EXPECT_EQ(code_of(from_hex(bad)), Errc::Usage) << bad;
}

TEST(Base64, MatchesTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(as_text(*from_base64(encoded)), plain);
  }
  EXPECT_EQ(to_base64(Bytes{0xfb, 0xff}), "-_8") << "URL-safe alphabet";
}

TEST(Base64, RoundTripsEveryLength) {
  support::SeededRandom random(7);
  for (std::size_t n = 0; n < 100; ++n) {
    const Bytes bytes = random.bytes(n);
    EXPECT_EQ(*from_base64(to_base64(bytes)), bytes);
  }
}

TEST(Base64, HasOneTextForEveryValue) {
  // Padding, the other alphabet, impossible lengths and bits beyond the last byte would each be a second spelling.
  for (const char* bad : {"Zg==", "Zm9v\n", "Z", "Zm9vY", "+/8", "Zh", "Zm9", "Z g"}) {
    EXPECT_EQ(code_of(from_base64(bad)), Errc::Usage) << bad;
  }
}

TEST(Printable, KeepsTextAndEscapesWhatDrivesATerminal) {
  EXPECT_EQ(printable("plain name.txt"), "plain name.txt");
  EXPECT_EQ(printable("grün/日本/🙂"), "grün/日本/🙂");
  EXPECT_EQ(printable("a\x1b[2Jb\n"), "a\\x1b[2Jb\\x0a");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("c1:\xc2\x9b"), "c1:\\xc2\\x9b");
  EXPECT_EQ(printable("back\\slash"), "back\\\\slash");
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Printable, EscapesWhatReordersOrHidesText) {
  EXPECT_EQ(printable("txt\xe2\x80\xae"
                      "exe"),
            "txt\\xe2\\x80\\xae"
            "exe")
      << "U+202E right-to-left override";
  EXPECT_EQ(printable("\xe2\x81\xa6"), "\\xe2\\x81\\xa6") << "U+2066 left-to-right isolate";
  EXPECT_EQ(printable("\xe2\x80\xa8"), "\\xe2\\x80\\xa8") << "U+2028 line separator";
  EXPECT_EQ(printable("\xe2\x80\x93"), "\xe2\x80\x93") << "a dash is a dash";
}

TEST(Printable, TellsDifferentNamesApart) {
  support::SeededRandom random(3);
  for (int i = 0; i < 2000; ++i) {
    const Bytes a = random.bytes(random.below(4)), b = random.bytes(random.below(4));
    EXPECT_EQ(printable(as_text(a)) == printable(as_text(b)), a == b);
  }
}

TEST(Utf8, AcceptsOnlyTheShortestFormOfRealCharacters) {
  for (const char* good : {"", "ascii", "ä", "€", "🙂", "\xf4\x8f\xbf\xbf"}) EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
                          "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\xff"}) {
    EXPECT_FALSE(is_utf8(bad)) << to_hex(as_bytes(bad));
  }
}

TEST(ByteReader, ReadsBackWhatTheWriterWrote) {
  const Digest digest = *Digest::from_bytes(Bytes(32, 9));
  ByteWriter w;
  w.u8(1).u16(0x0203).u32(0x04050607).u64(0x08090a0b0c0d0e0f).i64(-2).varint(300).sized("text").id(digest).raw("tail");
  const Bytes bytes = w.take();
  EXPECT_EQ(to_hex(ByteSpan(bytes).first(7)), "01030207060504") << "little-endian";

  ByteReader r(bytes);
  EXPECT_EQ(r.u8(), 1);
  EXPECT_EQ(r.u16(), 0x0203);
  EXPECT_EQ(r.u32(), 0x04050607u);
  EXPECT_EQ(r.u64(), 0x08090a0b0c0d0e0fu);
  EXPECT_EQ(r.i64(), -2);
  EXPECT_EQ(r.varint(), 300u);
  EXPECT_EQ(r.sized_text(4), "text");
  EXPECT_EQ(r.id<Digest>(), digest);
  EXPECT_EQ(as_text(r.raw(4)), "tail");
  EXPECT_TRUE(r.finish("all"));
}

TEST(ByteReader, FailsForGoodAtTheFirstReadThatDoesNotFit) {
  const Bytes bytes = {1, 2, 3};
  ByteReader r(bytes);
  EXPECT_EQ(r.u32(), 0u);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.u8(), 0) << "bytes that are there are no longer handed out";
  EXPECT_TRUE(r.raw(1).empty());
  EXPECT_TRUE(r.sized(100).empty());
  EXPECT_EQ(r.count(1), 0u);
  EXPECT_EQ(r.varint(), 0u);
  EXPECT_EQ(r.varint_count(1), 0u);
  EXPECT_TRUE(r.id<Digest>().is_zero());
  EXPECT_EQ(code_of(r.finish("thing")), Errc::Corrupt);
  EXPECT_NE(r.finish("thing").error().message.find("thing"), std::string::npos);
}

TEST(ByteReader, FailsAtEveryTruncation) {
  ByteWriter w;
  w.u16(7).varint(1u << 20).sized("payload").u64(9);
  const Bytes bytes = w.take();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    ByteReader r(ByteSpan(bytes).first(n));
    r.u16();
    r.varint();
    r.sized(7);
    r.u64();
    EXPECT_FALSE(r.finish("x")) << n;
  }
}

TEST(ByteReader, RefusesBytesThatAreLeftOver) {
  const Bytes bytes = {1, 2};
  ByteReader r(bytes);
  r.u8();
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(code_of(r.finish("x")), Errc::Corrupt);
}

TEST(ByteReader, RefusesLengthsBeyondTheLimitOrTheInput) {
  ByteWriter w;
  w.sized("12345");
  ByteReader longer(w.span());
  EXPECT_TRUE(longer.sized(4).empty());
  EXPECT_FALSE(longer.ok());
  const Bytes huge = {0xff, 0xff, 0xff, 0xff, 1};
  ByteReader r(huge);
  EXPECT_TRUE(r.sized(~std::size_t{0}).empty());
  EXPECT_FALSE(r.ok());
}

TEST(ByteReader, RefusesCountsThatCannotBeInTheInput) {
  ByteWriter w;
  w.u32(3).raw("123456");
  ByteReader fits(w.span());
  EXPECT_EQ(fits.count(2), 3u);
  ByteReader too_many(w.span());
  EXPECT_EQ(too_many.count(3), 0u);
  EXPECT_FALSE(too_many.ok());
  ByteWriter v;
  v.varint(~std::uint64_t{0});
  ByteReader huge(v.span());
  EXPECT_EQ(huge.varint_count(1), 0u);
  EXPECT_FALSE(huge.ok());
}

TEST(Varint, RoundTripsAtEveryLength) {
  for (int bits = 0; bits <= 64; ++bits) {
    for (const std::int64_t delta : {-1, 0, 1}) {
      const std::uint64_t value = (bits == 64 ? 0 : std::uint64_t{1} << bits) + static_cast<std::uint64_t>(delta);
      ByteWriter w;
      w.varint(value);
      ByteReader r(w.span());
      EXPECT_EQ(r.varint(), value);
      EXPECT_TRUE(r.finish("varint"));
    }
  }
}

TEST(Varint, RefusesLongerFormsAndOverflow) {
  for (const char* bad : {"80", "8000", "ff00", "ffffffffffffffffff02", "ffffffffffffffffff80",
                          "ffffffffffffffffffff01", "8080808080808080808000"}) {
    const Bytes bytes = *from_hex(bad);
    ByteReader r(bytes);
    r.varint();
    EXPECT_FALSE(r.ok()) << bad;
  }
  const Bytes most = *from_hex("ffffffffffffffffff01");
  ByteReader r(most);
  EXPECT_EQ(r.varint(), ~std::uint64_t{0});
}

TEST(Ids, AreFixedInLengthAndOrderedAsBytes) {
  EXPECT_EQ(code_of(TenantId::from_hex("00")), Errc::Usage);
  EXPECT_EQ(code_of(TenantId::from_hex(std::string(34, '0'))), Errc::Usage);
  EXPECT_EQ(code_of(TenantId::from_bytes(Bytes(15))), Errc::Usage);
  const TenantId low = *TenantId::from_hex("00000000000000000000000000000001");
  const TenantId high = *TenantId::from_hex("80000000000000000000000000000000");
  EXPECT_LT(low, high);
  EXPECT_EQ(high.short_hex(), "80000000");
  EXPECT_TRUE(TenantId{}.is_zero());
  EXPECT_FALSE(low.is_zero());
}

}  // namespace
}  // namespace holdfast
