#pragma once
// Known-answer files: tests/vectors/<module>/<name>.txt. Lines `name = hex`, cases separated by an empty line, `#` begins
// a comment line.

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "common/base/bytes.h"

namespace holdfast::testing {

class VectorCase {
 public:
  void set(const std::string& name, const std::string& hex) {
    const Result<Bytes> bytes = from_hex(hex);
    EXPECT_TRUE(bytes.has_value()) << name << " is not hex";
    if (bytes) fields_[name] = *bytes;
  }
  const Bytes& operator[](const std::string& name) const {
    static const Bytes kNone;
    const auto found = fields_.find(name);
    EXPECT_NE(found, fields_.end()) << "the vector has no field " << name;
    return found == fields_.end() ? kNone : found->second;
  }
  std::string text(const std::string& name) const { return std::string(as_text((*this)[name])); }
  /// Big-endian.
  std::uint64_t number(const std::string& name) const {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : (*this)[name]) value = value << 8 | byte;
    return value;
  }
  template <class Id>
  Id id(const std::string& name) const {
    Id id{};
    const Bytes& bytes = (*this)[name];
    EXPECT_EQ(bytes.size(), id.bytes.size()) << name;
    if (bytes.size() == id.bytes.size()) std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
    return id;
  }
  bool has(const std::string& name) const { return fields_.contains(name); }
  bool empty() const { return fields_.empty(); }

 private:
  std::map<std::string, Bytes> fields_;
};

/// `path` below tests/vectors. A missing or empty file fails the test.
inline std::vector<VectorCase> read_vectors(const std::string& path) {
  std::ifstream in(std::string(HF_SOURCE_DIR) + "/tests/vectors/" + path);
  std::vector<VectorCase> cases;
  VectorCase current;
  const auto finish = [&] {
    if (!current.empty()) cases.push_back(current);
    current = {};
  };
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) finish();
    const std::size_t equals = line.find(" =");
    if (line.empty() || line[0] == '#' || equals == std::string::npos) continue;
    const std::size_t value = line.find_first_not_of(' ', equals + 2);
    current.set(line.substr(0, equals), value == std::string::npos ? "" : line.substr(value));
  }
  finish();
  EXPECT_FALSE(cases.empty()) << "no vectors in " << path;
  return cases;
}

}  // namespace holdfast::testing
