#include "client/restore/tree_made.h"

#include <fcntl.h>

#include <cerrno>

#include "client/restore/spill_file.h"
#include "client/restore/tree_writer.h"
#include "common/base/clock.h"

namespace holdfast::restore {
namespace {

Bytes encode(const manifest::Entry& entry, std::uint64_t device, std::uint64_t inode) {
  ByteWriter out;
  out.sized(entry.path).u32(entry.mode).u32(entry.uid).u32(entry.gid).i64(entry.mtime_ns).u64(device).u64(inode);
  out.u32(static_cast<std::uint32_t>(entry.xattrs.size()));
  for (const manifest::Xattr& attribute : entry.xattrs) out.sized(attribute.name).sized(attribute.value);
  return out.take();
}

Result<MadeDirectory> decode(ByteSpan record) {
  ByteReader in(record);
  MadeDirectory made;
  manifest::Entry& entry = made.entry;
  entry.kind = manifest::EntryKind::Directory;
  entry.path = in.sized_text(manifest::kMaxPathBytes);
  entry.mode = in.u32();
  entry.uid = in.u32();
  entry.gid = in.u32();
  entry.mtime_ns = in.i64();
  made.device = in.u64();
  made.inode = in.u64();
  const std::size_t count = in.count(8);
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    manifest::Xattr attribute;
    attribute.name = in.sized_text(record.size());
    attribute.value = in.sized_text(record.size());
    entry.xattrs.push_back(std::move(attribute));
  }
  HF_TRY_DO(in.finish("the list of directories made"));
  return made;
}

}  // namespace

int open_nameless(int directory_fd) {
  int fd = ::openat(directory_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  // A file system without O_TMPFILE: a name for a moment.
  const std::string name = std::string(kTemporaryPrefix) + system_random().id<RunId>().hex();
  fd = open_beneath(directory_fd, name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  if (fd >= 0) ::unlinkat(directory_fd, name.c_str(), 0);
  return fd;
}

Status MadeDirectories::push(const manifest::Entry& entry, std::uint64_t device, std::uint64_t inode) {
  const Bytes record = encode(entry, device, inode);
  buffer_.insert(buffer_.end(), record.begin(), record.end());
  ByteWriter length;
  length.u32(static_cast<std::uint32_t>(record.size()));
  buffer_.insert(buffer_.end(), length.span().begin(), length.span().end());
  return buffer_.size() < kBlockBytes ? Status{} : spill();
}

Result<std::optional<MadeDirectory>> MadeDirectories::pop() {
  if (buffer_.empty() && !blocks_.empty()) HF_TRY_DO(load());
  if (buffer_.empty()) return std::optional<MadeDirectory>{};
  HF_ASSERT(buffer_.size() > 4);
  const ByteSpan all(buffer_);
  const std::size_t length = ByteReader(all.last(4)).u32();
  HF_ASSERT(length <= all.size() - 4);
  HF_TRY(MadeDirectory made, decode(all.subspan(all.size() - 4 - length, length)));
  buffer_.resize(buffer_.size() - 4 - length);
  return std::optional<MadeDirectory>(std::move(made));
}

Status MadeDirectories::spill() {
  if (!file_) file_ = Descriptor(open_nameless(root_->get()));
  if (!file_) return errno_error(errno, "make a temporary file in the target");
  HF_TRY_DO(write_at(file_.get(), buffer_, file_bytes_));
  blocks_.push_back(file_bytes_);
  file_bytes_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status MadeDirectories::load() {
  const std::uint64_t begin = blocks_.back();
  buffer_.resize(file_bytes_ - begin);
  HF_TRY_DO(read_at(file_.get(), buffer_, begin));
  blocks_.pop_back();
  file_bytes_ = begin;
  return {};
}

}  // namespace holdfast::restore
