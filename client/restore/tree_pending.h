#pragma once
// Why: a regular file on its way: written under a temporary name, complete with its attributes before it is renamed.

#include <sys/stat.h>

#include "client/restore/tree_context.h"

namespace holdfast::restore {

/// See PendingFile. Its descriptors may be taken from it when many files are pending; it opens them again.
class Pending final : public PendingFile {
 public:
  /// Makes the temporary file, or opens the draft that was begun. Errors: DiskFull, Denied, Io.
  static Result<std::unique_ptr<PendingFile>> begin(std::shared_ptr<TreeContext> context, Components path,
                                                    TreeDirectories::Handle directory, const manifest::Entry& entry,
                                                    const std::optional<Draft>& draft);
  ~Pending() override;
  Status write(std::uint64_t offset, ByteSpan bytes) override;
  Status commit() override;
  Result<int> descriptor() override;
  std::uint64_t inode() const override { return inode_; }
  bool is_continued() const override { return is_continued_; }
  void keep() override;

 private:
  Pending(std::shared_ptr<TreeContext> context, Components path, const manifest::Entry& entry);
  Status create(TreeDirectories::Handle directory);
  Status create_draft(TreeDirectories::Handle directory, const Draft& draft);
  bool open_draft(const TreeDirectories::Handle& directory, std::uint64_t inode);
  Status opened(TreeDirectories::Handle directory);
  Status ensure_open();
  Status ensure_directory();
  void enter_list();
  void leave_list();
  void close();

  const std::shared_ptr<TreeContext> context_;  // with the writer and its other files
  const Components path_;
  const manifest::Entry entry_;        ///< without extents
  std::string temporary_;              ///< empty: none, or it has its final name
  TreeDirectories::Handle directory_;  ///< null while closed
  Descriptor file_;
  bool listed_ = false, is_continued_ = false;
  std::list<Pending*>::iterator position_;  ///< in context_->open_files, when listed
  std::uint64_t device_ = 0, inode_ = 0;
  std::uint64_t end_ = 0, bytes_ = 0;
};

}  // namespace holdfast::restore
