#include "client/sources/directory.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace holdfast::sources {
namespace {

constexpr std::size_t kBufferBytes = 64u << 10;

}  // namespace

Result<NameList> NameList::read(int directory_fd) {
  NameList list;
  alignas(dirent64) char buffer[kBufferBytes];
  for (;;) {
    const ssize_t n = ::getdents64(directory_fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "list the directory");
    if (n == 0) break;
    for (ssize_t at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) list.add(entry->d_name);
    }
    if (list.bytes_.size() > kMaxNameBytes) return Error{Errc::Limit, "list the directory: its names exceed 4 GiB"};
  }
  list.sort();
  return list;
}

NameList NameList::of(std::vector<std::string> names) {
  NameList list;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& name : names) list.add(name.c_str());
  return list;
}

bool NameList::contains(const std::string& name) const {
  return std::binary_search(offsets_.begin(), offsets_.end(), std::string::npos, [&](std::size_t a, std::size_t b) {
    const char* left = a == std::string::npos ? name.c_str() : bytes_.data() + a;
    const char* right = b == std::string::npos ? name.c_str() : bytes_.data() + b;
    return std::strcmp(left, right) < 0;
  });
}

void NameList::add(const char* name) {
  offsets_.push_back(bytes_.size());
  bytes_.append(name, std::strlen(name) + 1);
}

void NameList::sort() {
  // strcmp compares as unsigned char, which is the manifest's order.
  std::sort(offsets_.begin(), offsets_.end(),
            [this](std::size_t a, std::size_t b) { return std::strcmp(bytes_.data() + a, bytes_.data() + b) < 0; });
}

}  // namespace holdfast::sources
