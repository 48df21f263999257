#include "client/sources/exclusions.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <fstream>

#include "client/sources/attributes.h"
#include "client/sources/content.h"

namespace holdfast::sources {
namespace {

constexpr std::string_view kKernelDirectories[] = {"/dev", "/proc", "/run", "/sys"};
constexpr std::string_view kCacheSignature = "Signature: 8a477f597d28d172789f06886806bc55";

// Not in <linux/magic.h>.
constexpr std::uint64_t kFuseControlMagic = 0x65735543, kMqueueMagic = 0x19800202, kRpcPipeMagic = 0x67596969,
                        kConfigfsMagic = 0x62656570, kNfsdMagic = 0x6e667364;

constexpr std::uint64_t kPseudoMagics[] = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,  DEVPTS_SUPER_MAGIC,
    DEBUGFS_MAGIC,    TRACEFS_MAGIC,  SECURITYFS_MAGIC,   SELINUX_MAGIC,        SMACK_MAGIC,
    BPF_FS_MAGIC,     PSTOREFS_MAGIC, EFIVARFS_MAGIC,     BINFMTFS_MAGIC,       AUTOFS_SUPER_MAGIC,
    NSFS_MAGIC,       PIPEFS_MAGIC,   SOCKFS_MAGIC,       RDTGROUP_SUPER_MAGIC, kFuseControlMagic,
    kMqueueMagic,     kRpcPipeMagic,  kConfigfsMagic,     kNfsdMagic,
};

// /proc/swaps writes blanks, tabs, newlines and backslashes as \ooo.
std::string unescape_octal(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 3 < text.size() && digit(text[at + 1]) && digit(text[at + 2]) && digit(text[at + 3])) {
      out += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
      at += 3;
    } else {
      out += text[at];
    }
  }
  return out;
}

}  // namespace

bool is_kernel_directory(std::string_view path) {
  return std::find(std::begin(kKernelDirectories), std::end(kKernelDirectories), path) != std::end(kKernelDirectories);
}

bool is_pseudo_file_system(int directory_fd) {
  struct statfs fs{};
  if (::fstatfs(directory_fd, &fs) != 0) return false;
  const auto magic = static_cast<std::uint64_t>(fs.f_type) & 0xffffffffu;
  return std::find(std::begin(kPseudoMagics), std::end(kPseudoMagics), magic) != std::end(kPseudoMagics);
}

bool has_cache_tag(int directory_fd, const NameList& names) {
  if (!names.contains(kCacheTagName)) return false;
  const Descriptor fd(open_unfollowed(directory_fd, kCacheTagName, 0));
  if (!fd) return false;
  const Result<struct statx> st = stat_at(fd.get(), "");
  if (!st || !S_ISREG(st->stx_mode)) return false;
  char head[kCacheSignature.size()];
  return ::pread(fd.get(), head, sizeof head, 0) == static_cast<ssize_t>(sizeof head) &&
         std::string_view(head, sizeof head) == kCacheSignature;
}

std::set<std::pair<std::uint64_t, std::uint64_t>> swap_files() {
  std::set<std::pair<std::uint64_t, std::uint64_t>> found;
  std::ifstream swaps("/proc/swaps");
  std::string line;
  std::getline(swaps, line);  // the heading
  while (std::getline(swaps, line)) {
    const std::string path = unescape_octal(std::string_view(line).substr(0, line.find_first_of(" \t")));
    const Result<struct statx> st = stat_at(AT_FDCWD, path.c_str());
    if (!path.empty() && st && S_ISREG(st->stx_mode)) found.emplace(identity_of(*st).device, identity_of(*st).inode);
  }
  return found;
}

}  // namespace holdfast::sources
