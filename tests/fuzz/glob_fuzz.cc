// Why: patterns come from configuration files and command lines, paths from anybody's directories. Whatever they hold,
// matching ends soon, and the answer obeys the laws below.

#include <cstdlib>

#include "client/sources/files.h"

namespace {

using holdfast::sources::GlobList;

constexpr std::size_t kMaxPatterns = 16;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

// Input: lines; the first is the path, the others are patterns.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  const auto take_line = [&rest] {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
  };
  const std::string path = "/" + take_line();
  std::vector<std::string> patterns;
  while (!rest.empty() && patterns.size() < kMaxPatterns) patterns.push_back(take_line());

  const auto list = GlobList::compile(patterns);
  if (!list) {
    require(list.error().code == holdfast::Errc::Usage && !list.error().message.empty());
    return 0;
  }
  const bool as_file = list->excluded(path, false);
  list->excluded(path, true);
  require(!list->excluded("/", true));
  // Said twice is said once; a last "**" takes all, a last "!**" nothing.
  for (std::size_t i = 0, n = patterns.size(); i < n; ++i) patterns.push_back(std::string(patterns[i]));
  require(GlobList::compile(patterns)->excluded(path, false) == as_file);
  const bool has_name = path.find_last_not_of('/') != std::string::npos && path.back() != '/';
  patterns.push_back("**");
  require(GlobList::compile(patterns)->excluded(path, false) == has_name || !has_name);
  patterns.push_back("!**");
  require(!GlobList::compile(patterns)->excluded(path, false));
  return 0;
}
