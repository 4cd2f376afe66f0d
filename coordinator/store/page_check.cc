// See page_check.h.
#include "coordinator/store/page_check.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace sink::store {
namespace {

std::string NotePath(const std::string& path) { return path + "-unchecked"; }

}  // namespace

void PageCheck::Owe(const std::string& path) {
  const int fd = open(NotePath(path).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) close(fd);  // without it only a check that is interrupted is forgotten
}

bool PageCheck::IsOwed(const std::string& path) { return access(NotePath(path).c_str(), F_OK) == 0; }

PageCheck::PageCheck(const std::string& path, std::unique_ptr<Database> db,
                     std::function<void(const absl::Status&)> damaged)
    : path_(path), db_(std::move(db)), damaged_(std::move(damaged)), thread_([this] { Run(); }) {}

PageCheck::~PageCheck() {
  // An interruption of a statement that is just about to begin is none.
  while (!done_) {
    sqlite3_interrupt(db_->handle());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  thread_.join();
}

void PageCheck::Run() {
  absl::Status status;
  {
    Query check(*db_, "PRAGMA quick_check(1)");
    const bool answered = check.Next();
    status = check.status();
    if (const std::string found = answered ? check.Text(0) : ""; answered && found != "ok") {
      status = db_->Damaged(found);
    }
  }
  if (status.ok()) unlink(NotePath(path_).c_str());
  if (absl::IsDataLoss(status) && damaged_ != nullptr) damaged_(status);
  done_ = true;
}

}  // namespace sink::store
