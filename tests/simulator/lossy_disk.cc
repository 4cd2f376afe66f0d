// See lossy_disk.h. The methods that SQLite calls, as https://sqlite.org/c3ref/io_methods.html describes them.
#include "tests/simulator/lossy_disk.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace sink::simulator {
namespace {

constexpr int kSector = 512;  // a write is torn between these

}  // namespace

// What SQLite allocates for an open file; the first member is its own.
struct LossyDisk::Handle {
  sqlite3_file base = {};
  LossyDisk* disk = nullptr;
  std::shared_ptr<File> file;
  std::string name;
  uint64_t generation = 0;
  int lock = SQLITE_LOCK_NONE;

  bool usable() const { return generation == disk->generation_; }
};

struct DiskMethods {
  using Handle = LossyDisk::Handle;
  using File = LossyDisk::File;
  static Handle& Of(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

  static int Close(sqlite3_file* file) {
    Unlock(file, SQLITE_LOCK_NONE);
    std::erase(Of(file).disk->open_, &Of(file));
    Of(file).~Handle();
    return SQLITE_OK;
  }

  static int Read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 offset) {
    Handle& handle = Of(file);
    if (!handle.usable()) return SQLITE_IOERR_READ;
    const std::string& all = handle.file->bytes;
    const int64_t here = std::clamp<int64_t>(static_cast<int64_t>(all.size()) - offset, 0, bytes);
    if (here > 0) std::memcpy(to, all.data() + offset, here);
    if (here == bytes) return SQLITE_OK;
    std::memset(static_cast<char*>(to) + here, 0, bytes - here);
    return SQLITE_IOERR_SHORT_READ;
  }

  static int Write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset) {
    Handle& handle = Of(file);
    if (!handle.usable() || !handle.disk->Use()) return SQLITE_IOERR_WRITE;
    if (const int failure = handle.disk->Fail(/*write=*/true, SQLITE_IOERR_WRITE)) return failure;
    std::string& all = handle.file->bytes;
    LossyDisk::Change change;
    change.offset = offset;
    change.size_before = static_cast<int64_t>(all.size());
    if (offset < change.size_before) change.before = all.substr(offset, bytes);
    change.after.assign(static_cast<const char*>(from), bytes);
    if (change.size_before < offset + bytes) all.resize(offset + bytes);
    std::memcpy(all.data() + offset, from, bytes);
    handle.file->unsynced.push_back(std::move(change));
    return SQLITE_OK;
  }

  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    Handle& handle = Of(file);
    if (!handle.usable() || !handle.disk->Use()) return SQLITE_IOERR_TRUNCATE;
    if (const int failure = handle.disk->Fail(/*write=*/false, SQLITE_IOERR_TRUNCATE)) return failure;
    std::string& all = handle.file->bytes;
    LossyDisk::Change change;
    change.offset = size;
    change.size_before = static_cast<int64_t>(all.size());
    if (size < change.size_before) change.before = all.substr(size);
    change.truncation = true;
    all.resize(size);
    handle.file->unsynced.push_back(std::move(change));
    return SQLITE_OK;
  }

  static int Sync(sqlite3_file* file, int) {
    Handle& handle = Of(file);
    if (!handle.usable() || !handle.disk->Use()) return SQLITE_IOERR_FSYNC;
    if (const int failure = handle.disk->Fail(/*write=*/false, SQLITE_IOERR_FSYNC)) return failure;
    const std::string& ignored = handle.disk->ignored_syncs_;
    if (ignored.empty() || !handle.name.ends_with(ignored)) handle.file->unsynced.clear();
    return SQLITE_OK;
  }

  static int Size(sqlite3_file* file, sqlite3_int64* size) {
    if (!Of(file).usable()) return SQLITE_IOERR_FSTAT;
    *size = static_cast<sqlite3_int64>(Of(file).file->bytes.size());
    return SQLITE_OK;
  }

  static int Lock(sqlite3_file* file, int level) {
    Handle& handle = Of(file);
    if (!handle.usable()) return SQLITE_IOERR_LOCK;
    File& held = *handle.file;
    if (level <= handle.lock) return SQLITE_OK;
    if (held.exclusive != nullptr && held.exclusive != &handle) return SQLITE_BUSY;
    if (handle.lock == SQLITE_LOCK_NONE) ++held.shared;
    if (level == SQLITE_LOCK_EXCLUSIVE && held.shared > 1) {
      if (handle.lock == SQLITE_LOCK_NONE) --held.shared;
      return SQLITE_BUSY;
    }
    if (level > SQLITE_LOCK_SHARED) held.exclusive = &handle;
    handle.lock = level;
    return SQLITE_OK;
  }

  static int Unlock(sqlite3_file* file, int level) {
    Handle& handle = Of(file);
    if (level >= handle.lock) return SQLITE_OK;
    if (handle.file->exclusive == &handle) handle.file->exclusive = nullptr;
    if (level == SQLITE_LOCK_NONE && handle.lock != SQLITE_LOCK_NONE) --handle.file->shared;
    handle.lock = level;
    return SQLITE_OK;
  }

  static int CheckReserved(sqlite3_file* file, int* result) {
    *result = Of(file).file->exclusive != nullptr;
    return SQLITE_OK;
  }

  static int Control(sqlite3_file*, int what, void* argument) {
    if (what != SQLITE_FCNTL_MMAP_SIZE) return SQLITE_NOTFOUND;
    *static_cast<sqlite3_int64*>(argument) = 0;  // there is no memory map
    return SQLITE_OK;
  }
  static int SectorSize(sqlite3_file*) { return kSector; }
  static int Characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static int MapMemory(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
    Handle& handle = Of(file);
    if (!handle.usable()) return SQLITE_IOERR_SHMMAP;
    auto& regions = handle.file->memory.regions;
    *out = nullptr;
    if (static_cast<size_t>(region) >= regions.size()) {
      if (extend == 0) return SQLITE_OK;
      while (static_cast<size_t>(region) >= regions.size()) regions.push_back(std::make_unique<char[]>(size));
      handle.file->memory.region_bytes = size;
    }
    *out = regions[region].get();
    return SQLITE_OK;
  }

  static int LockMemory(sqlite3_file* file, int first, int count, int flags) {
    Handle& handle = Of(file);
    if (!handle.usable()) return (flags & SQLITE_SHM_UNLOCK) != 0 ? SQLITE_OK : SQLITE_IOERR_SHMLOCK;
    LossyDisk::SharedMemory& memory = handle.file->memory;
    for (int i = first; i < first + count && (flags & SQLITE_SHM_LOCK) != 0; ++i) {
      if (memory.writer[i] != nullptr && memory.writer[i] != &handle) return SQLITE_BUSY;
      if ((flags & SQLITE_SHM_EXCLUSIVE) != 0 && memory.readers[i] > 0) return SQLITE_BUSY;
    }
    for (int i = first; i < first + count; ++i) {
      if ((flags & SQLITE_SHM_SHARED) != 0) {
        memory.readers[i] += (flags & SQLITE_SHM_LOCK) != 0 ? 1 : -1;
      } else {
        memory.writer[i] = (flags & SQLITE_SHM_LOCK) != 0 ? &handle : nullptr;
      }
    }
    return SQLITE_OK;
  }

  static void Barrier(sqlite3_file*) {}

  static int UnmapMemory(sqlite3_file* file, int remove) {
    Handle& handle = Of(file);
    if (remove != 0 && handle.usable()) handle.file->memory = {};
    return SQLITE_OK;
  }

  static LossyDisk& DiskOf(sqlite3_vfs* vfs) { return *static_cast<LossyDisk*>(vfs->pAppData); }

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    static const sqlite3_io_methods kMethods = {
        2,           Close,         Read,    Write,      Truncate,        Sync,      Size,       Lock,
        Unlock,      CheckReserved, Control, SectorSize, Characteristics, MapMemory, LockMemory, Barrier,
        UnmapMemory, nullptr,       nullptr};
    LossyDisk& disk = DiskOf(vfs);
    file->pMethods = nullptr;
    const std::string path = name == nullptr ? "" : name;
    const auto found = disk.files_.find(path);
    if (found == disk.files_.end() && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    Handle* const handle = new (file) Handle;
    handle->disk = &disk;
    handle->file = found != disk.files_.end() ? found->second : std::make_shared<File>();
    if (found == disk.files_.end() && !path.empty()) disk.files_[path] = handle->file;
    handle->name = path;
    handle->generation = disk.generation_;
    handle->base.pMethods = &kMethods;
    disk.open_.push_back(handle);
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static int Delete(sqlite3_vfs* vfs, const char* name, int) {
    return DiskOf(vfs).files_.erase(name) > 0 ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
  }
  static int Access(sqlite3_vfs* vfs, const char* name, int, int* result) {
    const auto found = DiskOf(vfs).files_.find(name);
    // As SQLite's own: an empty file is as good as none.
    *result = found != DiskOf(vfs).files_.end() && !found->second->bytes.empty();
    return SQLITE_OK;
  }
  static int FullPath(sqlite3_vfs*, const char* name, int bytes, char* out) {
    std::strncpy(out, name, bytes);
    return SQLITE_OK;
  }
  static int Randomness(sqlite3_vfs*, int bytes, char* out) {
    std::memset(out, 7, bytes);
    return bytes;
  }
  static int Sleep(sqlite3_vfs*, int microseconds) { return microseconds; }
  static int Time(sqlite3_vfs*, double* days) {
    *days = 2460000.5;
    return SQLITE_OK;
  }
};

LossyDisk::LossyDisk() {
  sqlite3_vfs* const usual = sqlite3_vfs_find(nullptr);
  vfs_.iVersion = 1;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.mxPathname = 256;
  vfs_.zName = "lossy";
  vfs_.pAppData = this;
  vfs_.xOpen = DiskMethods::Open;
  vfs_.xDelete = DiskMethods::Delete;
  vfs_.xAccess = DiskMethods::Access;
  vfs_.xFullPathname = DiskMethods::FullPath;
  vfs_.xDlOpen = usual->xDlOpen;
  vfs_.xDlError = usual->xDlError;
  vfs_.xDlSym = usual->xDlSym;
  vfs_.xDlClose = usual->xDlClose;
  vfs_.xRandomness = DiskMethods::Randomness;
  vfs_.xSleep = DiskMethods::Sleep;
  vfs_.xCurrentTime = DiskMethods::Time;
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
}

LossyDisk::~LossyDisk() { sqlite3_vfs_unregister(&vfs_); }

bool LossyDisk::Use() {
  if (operations_left_ > 0) --operations_left_;
  return operations_left_ != 0;
}

void LossyDisk::FailIn(int64_t n, int64_t failures, Fault fault) {
  fault_ = fault;
  until_failure_ = n;
  failures_left_ = failures;
  has_failed_ = false;
}

int LossyDisk::Fail(bool write, int broken) {
  if (failures_left_ == 0 || (fault_ == Fault::kFull && !write)) return SQLITE_OK;
  if (--until_failure_ > 0) return SQLITE_OK;
  --failures_left_;
  has_failed_ = true;
  return fault_ == Fault::kFull ? SQLITE_FULL : broken;
}

void LossyDisk::Format(const Image& image) {
  ++generation_;
  operations_left_ = -1;
  Heal();
  files_.clear();
  for (const auto& [name, bytes] : image) {
    files_[name] = std::make_shared<File>();
    files_[name]->bytes = bytes;
  }
}

LossyDisk::Image LossyDisk::Contents() const {
  Image image;
  for (const auto& [name, file] : files_) image[name] = file->bytes;
  return image;
}

bool LossyDisk::Reconnect() {
  constexpr size_t kLogHeader = 32;
  constexpr char kLogMagic[] = "\x37\x7f\x06";  // https://sqlite.org/fileformat2.html#walformat
  for (const Handle* handle : open_) {
    const auto found = files_.find(handle->name);
    if (found == files_.end()) return false;
    const std::string& bytes = found->second->bytes;
    if (handle->name.ends_with("-wal") && (bytes.size() <= kLogHeader || !bytes.starts_with(kLogMagic))) return false;
  }
  for (Handle* handle : open_) {
    const std::shared_ptr<File> old = std::exchange(handle->file, files_[handle->name]);
    for (auto& region : old->memory.regions) {
      std::memset(region.get(), 0, old->memory.region_bytes);
      handle->file->memory.regions.push_back(std::move(region));
    }
    handle->file->memory.region_bytes = std::max(handle->file->memory.region_bytes, old->memory.region_bytes);
    old->memory.regions.clear();
    if (handle->lock != SQLITE_LOCK_NONE) ++handle->file->shared;
    handle->generation = generation_;
  }
  return true;
}

void LossyDisk::Restart(Random* random) {
  ++generation_;
  operations_left_ = -1;
  Heal();
  for (auto& [name, old] : files_) {
    // Handles that are still open keep the file as it was.
    auto file = std::make_shared<File>();
    std::string& bytes = file->bytes = old->bytes;
    if (random == nullptr) {
      file->unsynced = old->unsynced;
      old = std::move(file);
      continue;
    }
    for (auto change = old->unsynced.rbegin(); change != old->unsynced.rend(); ++change) {
      bytes.resize(
          std::max<int64_t>(change->size_before, change->offset + static_cast<int64_t>(change->before.size())));
      std::copy(change->before.begin(), change->before.end(), bytes.begin() + change->offset);
      bytes.resize(change->size_before);
    }
    for (const Change& change : old->unsynced) {
      const int64_t fate = random->Below(4);  // gone, gone, torn, kept
      if (fate < 2) continue;
      if (change.truncation) {
        if (fate == 3) bytes.resize(change.offset);
        continue;
      }
      int64_t size = static_cast<int64_t>(change.after.size());
      if (fate == 2) size = std::min(size, random->Below(size / kSector + 1) * kSector);
      if (size == 0) continue;
      if (static_cast<int64_t>(bytes.size()) < change.offset + size) bytes.resize(change.offset + size);
      std::copy(change.after.begin(), change.after.begin() + size, bytes.begin() + change.offset);
    }
    old = std::move(file);
  }
}

}  // namespace sink::simulator
