// The build table in CMakeLists.txt says who may use whom. The linker alone does not hold anybody to it (a header may
// be included without its library), so this reads every #include of every module.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace files = std::filesystem;
using Names = std::set<std::string>;

struct Module {
  std::string folder;  ///< common/pack
  Names links;         ///< as written
};
struct Program {
  std::string main;  ///< server/main.cc
  Names links;
};
struct Table {
  std::map<std::string, Module> modules;  ///< by target: holdfast::pack
  std::map<std::string, Program> programs;
};

const files::path kRoot = HF_SOURCE_DIR;

Names words(const std::string& text) {
  std::istringstream in(text);
  Names out;
  for (std::string word; in >> word;) out.insert(word);
  return out;
}

/// A folder's target is named by its last part.
std::string target_of(const std::string& folder) { return "holdfast::" + folder.substr(folder.rfind('/') + 1); }

Table read_table() {
  std::ifstream in(kRoot / "CMakeLists.txt");
  const std::regex module(R"(^hf_module\((\S+)\s+LINKS\s+([^)]*)\))");
  const std::regex program(R"(^hf_program\((\S+)\s+(\S+)\s+LINKS\s+([^)]*)\))");
  Table table;
  table.modules["holdfast::proto"] = {"proto/holdfast/v1", {}};
  for (std::string line; std::getline(in, line);) {
    std::smatch found;
    if (std::regex_search(line, found, module)) table.modules[target_of(found[1])] = {found[1], words(found[2])};
    if (std::regex_search(line, found, program)) table.programs[found[1]] = {found[2], words(found[3])};
  }
  return table;
}

const Table& table() {
  static const Table read = read_table();
  return read;
}

/// Everything that these links bring along: libraries are linked PUBLIC.
Names closure(const Names& links) {
  Names out;
  std::vector<std::string> open(links.begin(), links.end());
  while (!open.empty()) {
    const std::string next = open.back();
    open.pop_back();
    const auto module = table().modules.find(next);
    if (!out.insert(next).second || module == table().modules.end()) continue;
    open.insert(open.end(), module->second.links.begin(), module->second.links.end());
  }
  return out;
}

struct Include {
  std::string file;  ///< relative to the root
  std::string path;
  bool quoted;
};

bool is_source(const files::path& path) {
  return path.extension() == ".h" || path.extension() == ".cc" || path.extension() == ".inl";
}

std::vector<Include> includes_of(const files::path& file) {
  static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
  std::ifstream in(file);
  std::vector<Include> out;
  for (std::string line; std::getline(in, line);) {
    std::smatch found;
    if (std::regex_search(line, found, include))
      out.push_back({files::relative(file, kRoot), found[2], found[1] == "\""});
  }
  return out;
}

/// Every include below these top folders.
std::vector<Include> all_includes() {
  std::vector<Include> out;
  for (const char* top : {"common", "client", "server"}) {
    for (const auto& entry : files::recursive_directory_iterator(kRoot / top)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      const std::vector<Include> some = includes_of(entry.path());
      out.insert(out.end(), some.begin(), some.end());
    }
  }
  return out;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// What a file may use: its module's links and what they bring, or its program's.
Names allowed_for(const std::string& file) {
  const auto main = std::find_if(table().programs.begin(), table().programs.end(),
                                 [&](const auto& p) { return p.second.main == file; });
  Names out = main == table().programs.end() ? Names{} : closure(main->second.links);
  if (const auto module = table().modules.find(target_of(folder_of(file))); module != table().modules.end()) {
    const Names more = closure(module->second.links);
    out.insert(more.begin(), more.end());
    out.insert(module->first);
  }
  return out;
}

TEST(Layering, ReadsTheWholeTable) {
  EXPECT_GE(table().modules.size(), 28u);
  EXPECT_EQ(table().programs.size(), 3u);
  for (const auto& [name, module] : table().modules) {
    for (const std::string& link : module.links) {
      EXPECT_TRUE(!link.starts_with("holdfast::") || table().modules.contains(link)) << name << " links " << link;
    }
  }
}

TEST(Layering, EveryFolderWithCodeIsAModule) {
  Names known;
  for (const auto& [name, module] : table().modules) known.insert(module.folder);
  for (const auto& [name, program] : table().programs) known.insert(folder_of(program.main));
  for (const char* top : {"common", "client", "server"}) {
    for (const auto& entry : files::recursive_directory_iterator(kRoot / top)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      const std::string folder = folder_of(files::relative(entry.path(), kRoot));
      EXPECT_TRUE(known.contains(folder)) << entry.path() << " belongs to no hf_module of CMakeLists.txt";
    }
  }
}

TEST(Layering, ModulesIncludeOnlyWhatTheyLink) {
  std::size_t checked = 0;
  for (const Include& include : all_includes()) {
    const bool ours = std::regex_search(include.path, std::regex("^(common|client|server|proto)/"));
    if (!ours) continue;
    ++checked;
    if (include.path == "common/base/version.h") continue;  // generated, base's
    EXPECT_TRUE(allowed_for(include.file)
                    .contains(target_of(include.path.starts_with("proto/") ? "proto" : folder_of(include.path))))
        << include.file << " includes " << include.path << ", which is not among the links of its module";
  }
  EXPECT_GT(checked, 100u);
}

TEST(Layering, QuotedIncludesAreWrittenFromTheRoot) {
  for (const Include& include : all_includes()) {
    const bool rooted = std::regex_search(include.path, std::regex("^(common|client|server|proto)/"));
    EXPECT_EQ(include.quoted, rooted) << include.file << " includes " << include.path;
    EXPECT_EQ(include.path.find(".."), std::string::npos) << include.file << " includes " << include.path;
    EXPECT_FALSE(include.path.starts_with("tests/")) << include.file << " includes " << include.path;
  }
}

TEST(Layering, ClientAndServerNeverMeet) {
  for (const Include& include : all_includes()) {
    const bool crosses = (include.file.starts_with("client/") && include.path.starts_with("server/")) ||
                         (include.file.starts_with("server/") && include.path.starts_with("client/")) ||
                         (include.file.starts_with("common/") && !include.path.starts_with("common/") &&
                          (include.path.starts_with("client/") || include.path.starts_with("server/")));
    EXPECT_FALSE(crosses) << include.file << " includes " << include.path;
  }
}

TEST(Layering, NoModuleUsesItselfThroughOthers) {
  for (const auto& [name, module] : table().modules) {
    EXPECT_FALSE(closure(module.links).contains(name)) << name << " is part of a cycle";
  }
}

/// Whose headers stand behind a prefix, and the only places that may include them. A place is a folder or a file.
struct Owned {
  const char* prefix;
  std::vector<std::string> places;
};
const Owned kOwned[] = {
    {"boost/asio/awaitable.hpp", {"common", "client", "server"}},
    {"boost/asio", {"common/runtime", "common/transport"}},
    {"spdlog/", {"common/base/log.cc"}},
    {"sodium", {"common/crypto"}},
    // identity holds keys of certificates in X.509's own type, which is EVP's; it computes nothing with them.
    {"openssl/evp.h", {"common/crypto", "common/identity"}},
    {"openssl/kdf.h", {"common/crypto"}},
    {"openssl/rand.h", {}},
    {"openssl/ssl", {"common/transport"}},
    {"openssl/", {"common/crypto", "common/identity", "common/transport"}},
    {"zstd", {"client/sealing"}},
    {"rocksdb/", {"server/index"}},
    // Each program has its commands to itself; what they say of a word that is no command is said in one place.
    {"CLI/", {"client/cli", "client/main.cc", "server/ctl", "server/main.cc", "common/console/command_line.cc"}},
    {"toml++/", {"client/cli", "server/config", "server/ctl"}},
};

TEST(Layering, LibrariesHaveOneHomeEach) {
  for (const Include& include : all_includes()) {
    const auto owned = std::find_if(std::begin(kOwned), std::end(kOwned),
                                    [&](const Owned& o) { return include.path.starts_with(o.prefix); });
    if (owned == std::end(kOwned)) continue;
    const bool at_home = std::any_of(owned->places.begin(), owned->places.end(), [&](const std::string& place) {
      return include.file == place || include.file.starts_with(place + "/");
    });
    EXPECT_TRUE(at_home) << include.file << " includes " << include.path << "; the places for it stand in this test";
  }
}

TEST(Layering, TheServerCannotOpenWhatClientsSealed) {
  for (const char* program : {"holdfastd", "holdfastctl"}) {
    ASSERT_TRUE(table().programs.contains(program));
    for (const std::string& target : closure(table().programs.at(program).links)) {
      const auto module = table().modules.find(target);
      EXPECT_FALSE(module != table().modules.end() && module->second.folder.starts_with("client/"))
          << program << " links " << target;
      EXPECT_NE(target, "holdfast::sealing") << program;
    }
  }
}

TEST(Layering, TheAdministrationToolDoesNotOpenTheStore) {
  const Names links = closure(table().programs.at("holdfastctl").links);
  for (const char* target : {"holdfast::store", "holdfast::coordinator", "holdfast::index", "holdfast::tenant"}) {
    EXPECT_FALSE(links.contains(target)) << target;
  }
}

}  // namespace
