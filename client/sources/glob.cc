// Why: decides what is left out. Both levels (components of a path, bytes of a component) use the same greedy match:
// after a star only the latest star is ever taken up again, because a longer run at an earlier star cannot help. Hence
// no pattern is slower than path × pattern.

#include <algorithm>
#include <optional>

#include "client/sources/files.h"

namespace holdfast::sources {
namespace {

constexpr std::string_view kAnyDepth = "**";

struct NamedClass {
  std::string_view name;
  bool (*has)(unsigned char c);
};

bool is_lower(unsigned char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(unsigned char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }
bool is_alpha(unsigned char c) { return is_lower(c) || is_upper(c); }
bool is_alnum(unsigned char c) { return is_alpha(c) || is_digit(c); }
bool is_graph(unsigned char c) { return c > 0x20 && c < 0x7f; }

// The POSIX classes in the C locale, whatever the process runs under.
constexpr NamedClass kClasses[] = {
    {"alnum", is_alnum},
    {"alpha", is_alpha},
    {"blank", [](unsigned char c) { return c == ' ' || c == '\t'; }},
    {"cntrl", [](unsigned char c) { return c < 0x20 || c == 0x7f; }},
    {"digit", is_digit},
    {"graph", is_graph},
    {"lower", is_lower},
    {"print", [](unsigned char c) { return c == ' ' || is_graph(c); }},
    {"punct", [](unsigned char c) { return is_graph(c) && !is_alnum(c); }},
    {"space", [](unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }},
    {"upper", is_upper},
    {"xdigit", [](unsigned char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }},
};

const NamedClass* find_class(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kClasses), std::end(kClasses), [&](const NamedClass& c) { return c.name == name; });
  return found == std::end(kClasses) ? nullptr : found;
}

struct Step {
  bool matched;
  std::size_t next;  ///< where the glob goes on
};

// One byte of a bracket expression, `\` quoting the next; advances `at`.
std::optional<unsigned char> bracket_byte(std::string_view glob, std::size_t& at) {
  if (at < glob.size() && glob[at] == '\\') ++at;
  if (at >= glob.size()) return std::nullopt;
  return static_cast<unsigned char>(glob[at++]);
}

// `[…]` at glob[at] against one byte. nullopt: never closed, or an unknown class.
std::optional<Step> match_bracket(std::string_view glob, std::size_t at, unsigned char c) {
  ++at;
  const bool inverted = at < glob.size() && (glob[at] == '!' || glob[at] == '^');
  if (inverted) ++at;
  bool matched = false;
  for (bool first = true;; first = false) {
    if (at >= glob.size()) return std::nullopt;
    if (glob[at] == ']' && !first) return Step{matched != inverted, at + 1};
    if (glob.substr(at).starts_with("[:")) {
      const std::size_t end = glob.find(":]", at + 2);
      const NamedClass* named = end == glob.npos ? nullptr : find_class(glob.substr(at + 2, end - at - 2));
      if (!named) return std::nullopt;
      matched |= named->has(c);
      at = end + 2;
      continue;
    }
    const std::optional<unsigned char> low = bracket_byte(glob, at);
    if (!low) return std::nullopt;
    std::optional<unsigned char> high = low;
    if (at + 1 < glob.size() && glob[at] == '-' && glob[at + 1] != ']') high = bracket_byte(glob, ++at);
    if (!high) return std::nullopt;
    matched |= *low <= c && c <= *high;
  }
}

// Anything but '*' at glob[at] against one byte. Malformed globs were refused by compile.
Step match_byte(std::string_view glob, std::size_t at, unsigned char c) {
  switch (glob[at]) {
    case '?':
      return {true, at + 1};
    case '[':
      return match_bracket(glob, at, c).value_or(Step{false, glob.size()});
    case '\\':
      ++at;
      break;
    default:
      break;
  }
  return {at < glob.size() && static_cast<unsigned char>(glob[at]) == c, at + 1};
}

bool match_component(std::string_view glob, std::string_view name) {
  std::size_t g = 0, n = 0, star = glob.npos, star_n = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_n = n;
      continue;
    }
    const Step step = g < glob.size() ? match_byte(glob, g, static_cast<unsigned char>(name[n])) : Step{false, g};
    if (step.matched) {
      g = step.next;
      ++n;
    } else if (star != glob.npos) {
      g = star + 1;
      n = ++star_n;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

bool match_parts(const std::vector<std::string>& parts, const std::vector<std::string_view>& names) {
  std::size_t p = 0, n = 0, star = parts.size(), star_n = 0;
  while (n < names.size()) {
    if (p < parts.size() && parts[p] == kAnyDepth) {
      star = p++;
      star_n = n;
    } else if (p < parts.size() && match_component(parts[p], names[n])) {
      ++p;
      ++n;
    } else if (star < parts.size()) {
      p = star + 1;
      n = ++star_n;
    } else {
      return false;
    }
  }
  while (p < parts.size() && parts[p] == kAnyDepth) ++p;
  return p == parts.size();
}

std::vector<std::string_view> split_path(std::string_view path) {
  std::vector<std::string_view> names;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    if (slash > at) names.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return names;
}

// Splits at '/', which a backslash cannot quote: no name contains one.
std::vector<std::string> split_glob(std::string_view glob) {
  std::vector<std::string> parts(1);
  for (std::size_t at = 0; at < glob.size(); ++at) {
    const bool quoted = glob[at] == '\\' && at + 1 < glob.size();
    if (quoted) ++at;
    if (glob[at] == '/') {
      parts.emplace_back();
      continue;
    }
    if (quoted) parts.back() += '\\';
    parts.back() += glob[at];
  }
  std::erase_if(parts, [](const std::string& part) { return part.empty(); });
  return parts;
}

// What is wrong with a component, or nothing.
std::string_view fault_of(std::string_view part) {
  if (part == "." || part == "..") return "'.' and '..' name nothing here: paths are absolute";
  for (std::size_t at = 0; at < part.size();) {
    if (part[at] == '\\' && at + 1 == part.size()) return "it ends in a backslash that quotes nothing";
    if (part[at] == '[') {
      const std::optional<Step> step = match_bracket(part, at, 0);
      if (!step) return "a '[' is not closed, or names an unknown class; write '\\[' for the byte itself";
      at = step->next;
    } else {
      at += part[at] == '\\' ? 2 : 1;
    }
  }
  return {};
}

Error bad_pattern(std::string_view pattern, std::string_view why) {
  return {Errc::Usage, "pattern '" + printable(pattern) + "': " + std::string(why)};
}

}  // namespace

Result<GlobList> GlobList::compile(const std::vector<std::string>& patterns) {
  GlobList list;
  for (const std::string& text : patterns) {
    if (text.size() > kMaxPatternBytes)
      return bad_pattern(text.substr(0, 64), "longer than " + std::to_string(kMaxPatternBytes) + " bytes");
    std::string_view glob = text;
    if (glob.find('\0') != glob.npos) return bad_pattern(text, "no name contains a zero byte");
    Pattern pattern{};
    pattern.negated = glob.starts_with('!');
    if (pattern.negated) glob.remove_prefix(1);
    pattern.directories_only = glob.ends_with('/');
    while (glob.ends_with('/')) glob.remove_suffix(1);
    pattern.anchored = glob.find('/') != glob.npos;
    pattern.parts = split_glob(glob);
    if (pattern.parts.empty()) return bad_pattern(text, "it names nothing");
    for (const std::string& part : pattern.parts)
      if (const std::string_view fault = fault_of(part); !fault.empty()) return bad_pattern(text, fault);
    // "a/**" is everything below a, not a itself.
    if (pattern.parts.back() == kAnyDepth) pattern.parts.emplace_back("*");
    list.patterns_.push_back(std::move(pattern));
  }
  return list;
}

bool GlobList::excluded(std::string_view path, bool is_directory) const {
  const std::string_view base = path.substr(path.rfind('/') + 1);
  if (base.empty()) return false;  // "/" itself
  std::optional<std::vector<std::string_view>> names;
  for (auto pattern = patterns_.rbegin(); pattern != patterns_.rend(); ++pattern) {
    if (pattern->directories_only && !is_directory) continue;
    bool matched = false;
    if (!pattern->anchored) {
      matched = match_component(pattern->parts.back(), base);
    } else {
      if (!names) names = split_path(path);
      matched = match_parts(pattern->parts, *names);
    }
    if (matched) return !pattern->negated;
  }
  return false;
}

}  // namespace holdfast::sources
