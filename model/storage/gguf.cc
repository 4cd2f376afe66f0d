#include "model/storage/gguf.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "model/base/model_error.h"
#include "model/storage/gguf_blocks.h"

namespace sink {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr uint64_t kMaxDimensions = 4, kMaxAlignment = 1 << 20, kMaxListed = 1 << 22;
constexpr size_t kMaxNameBytes = 256;

enum Kind : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kText, kList, kU64, kI64, kF64 };

// Reads one file from its beginning.
class Parser {
 public:
  Parser(std::span<const std::byte> bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  GgufContent Parse() {
    if (bytes_.size() < 4 || Take<uint32_t>() != kMagic) Fail("not a GGUF file");
    const auto version = Take<uint32_t>();
    if (version != 2 && version != 3) Fail("GGUF versions 2 and 3 are read, in little-endian order");
    const auto tensors = Take<uint64_t>(), keys = Take<uint64_t>();
    if (tensors > kMaxSafetensorsCount) Fail("over 100,000 tensors");
    if (keys > kMaxGgufKeys) Fail("over 10,000 metadata keys");
    for (uint64_t i = 0; i < keys; ++i) {
      const std::string key = TakeName();
      if (!content_.metadata.emplace(key, TakeValue(Take<uint32_t>())).second) Fail("key \"" + key + "\" occurs twice");
    }
    std::vector<std::pair<std::string, uint64_t>> places;
    for (uint64_t i = 0; i < tensors; ++i) places.push_back(TakeTensor());
    const auto alignment = static_cast<uint64_t>(content_.Integer("general.alignment").value_or(32));
    if (alignment < 1 || alignment > kMaxAlignment || !std::has_single_bit(alignment)) Fail("an impossible alignment");
    const uint64_t start = (at_ + alignment - 1) / alignment * alignment;
    Place(places, bytes_.subspan(std::min<uint64_t>(start, bytes_.size())), alignment);
    return std::move(content_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const { throw ModelError(name_ + ": " + what); }

  template <typename T>
  T Take() {
    T value;
    if (sizeof(T) > bytes_.size() - at_ || at_ > kMaxGgufHeader) Fail("the file ends inside its header");
    std::memcpy(&value, bytes_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  std::string TakeText() {
    const auto size = Take<uint64_t>();
    if (size > bytes_.size() - at_ || size > kMaxGgufHeader) Fail("the file ends inside its header");
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + at_, size);
    at_ += size;
    return text;
  }

  std::string TakeName() {
    std::string text = TakeText();
    if (text.empty() || text.size() > kMaxNameBytes) Fail("a name of no or over 256 bytes");
    return text;
  }

  GgufValue TakeNumber(uint32_t kind) {
    switch (kind) {
      case kU8:
      case kBool:
        return int64_t{Take<uint8_t>()};
      case kI8:
        return int64_t{Take<int8_t>()};
      case kU16:
        return int64_t{Take<uint16_t>()};
      case kI16:
        return int64_t{Take<int16_t>()};
      case kU32:
        return int64_t{Take<uint32_t>()};
      case kI32:
        return int64_t{Take<int32_t>()};
      case kI64:
        return Take<int64_t>();
      case kU64: {
        const auto value = Take<uint64_t>();
        if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) Fail("a number beyond 63 bits");
        return static_cast<int64_t>(value);
      }
      case kF32:
        return double{Take<float>()};
      case kF64:
        return Take<double>();
      default:
        Fail("a value of unknown type " + std::to_string(kind));
    }
  }

  GgufValue TakeValue(uint32_t kind) {
    if (kind == kText) return TakeText();
    if (kind != kList) return TakeNumber(kind);
    const auto inner = Take<uint32_t>();
    const auto count = Take<uint64_t>();
    if (count > kMaxListed) Fail("a list of over 4,194,304 values");
    if (inner == kText) {
      std::vector<std::string> texts;
      for (uint64_t i = 0; i < count; ++i) texts.push_back(TakeText());
      return texts;
    }
    if (inner == kList) Fail("a list of lists");
    std::vector<double> numbers;
    for (uint64_t i = 0; i < count; ++i) {
      const GgufValue value = TakeNumber(inner);
      const auto* whole = std::get_if<int64_t>(&value);
      numbers.push_back(whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value));
    }
    return numbers;
  }

  // Its name and the offset of its data, whose size is checked by Place.
  std::pair<std::string, uint64_t> TakeTensor() {
    const std::string tensor = TakeName();
    const std::string where = "tensor \"" + tensor + "\"";
    const auto dimensions = Take<uint32_t>();
    if (dimensions < 1 || dimensions > kMaxDimensions) Fail(where + " has an impossible shape");
    SafetensorsView view;
    uint64_t values = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      const auto size = Take<uint64_t>();
      if (size < 1 || __builtin_mul_overflow(values, size, &values) || values > bytes_.size() * kMaxBlockValues)
        Fail(where + " has an impossible shape");
      view.shape.insert(view.shape.begin(), static_cast<int64_t>(size));
    }
    const auto code = Take<uint32_t>();
    const GgufType* type = FindGgufType(code);
    if (type == nullptr) Fail(where + " has the unknown type " + std::to_string(code));
    if (view.shape.back() % type->values != 0)
      Fail(where + ": its rows are no whole blocks of " + std::string(type->name));
    view.dtype = type->name;
    const uint64_t size = values / static_cast<uint64_t>(type->values) * type->bytes;
    if (size > bytes_.size()) Fail(where + " lies outside the file (is the file cut short?)");
    view.data = bytes_.first(size);  // its place is not known yet
    if (!content_.tensors.emplace(tensor, view).second) Fail(where + " occurs twice");
    return {tensor, Take<uint64_t>()};
  }

  void Place(std::vector<std::pair<std::string, uint64_t>>& places, std::span<const std::byte> data,
             uint64_t alignment) {
    std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    uint64_t end = 0;
    for (const auto& [tensor, offset] : places) {
      const std::string where = "tensor \"" + tensor + "\"";
      SafetensorsView& view = content_.tensors[tensor];
      if (offset % alignment != 0 || offset < end) Fail(where + " overlaps another or is not aligned");
      if (offset > data.size() || view.data.size() > data.size() - offset)
        Fail(where + " lies outside the file (is the file cut short?)");
      view.data = data.subspan(offset, view.data.size());
      end = offset + view.data.size();
    }
  }

  static constexpr uint64_t kMaxBlockValues = 256;

  std::span<const std::byte> bytes_;
  const std::string& name_;
  uint64_t at_ = 0;
  GgufContent content_;
};

template <typename T>
const T* Find(const GgufContent& content, const std::string& key) {
  const auto found = content.metadata.find(key);
  return found == content.metadata.end() ? nullptr : std::get_if<T>(&found->second);
}

}  // namespace

std::optional<int64_t> GgufContent::Integer(const std::string& key) const {
  const auto* value = Find<int64_t>(*this, key);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

std::optional<double> GgufContent::Number(const std::string& key) const {
  if (const auto* value = Find<double>(*this, key)) return *value;
  const std::optional<int64_t> whole = Integer(key);
  return whole ? std::optional(static_cast<double>(*whole)) : std::nullopt;
}

const std::string* GgufContent::Text(const std::string& key) const { return Find<std::string>(*this, key); }
const std::vector<std::string>* GgufContent::Texts(const std::string& key) const {
  return Find<std::vector<std::string>>(*this, key);
}
const std::vector<double>* GgufContent::Numbers(const std::string& key) const {
  return Find<std::vector<double>>(*this, key);
}

GgufContent ParseGguf(std::span<const std::byte> bytes, const std::string& name) { return Parser(bytes, name).Parse(); }

GgufFile::GgufFile(const std::filesystem::path& path) : name_(path.string()) {
  const auto fail = [&](const char* what) { throw ModelError(name_ + ": " + what + ": " + std::strerror(errno)); };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a named pipe must not block
  if (fd < 0) fail("cannot open");
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 1) {
    ::close(fd);
    throw ModelError(name_ + ": not a GGUF file (empty, or not a plain file)");
  }
  size_ = static_cast<size_t>(status.st_size);
  mapping_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  ::close(fd);
  errno = error;
  if (mapping_ == MAP_FAILED) fail("cannot map");
  try {
    content_ = ParseGguf({static_cast<const std::byte*>(mapping_), size_}, name_);
  } catch (...) {
    ::munmap(mapping_, size_);
    throw;
  }
}

GgufFile::~GgufFile() { ::munmap(mapping_, size_); }

void GgufFile::Release() const { ::madvise(mapping_, size_, MADV_DONTNEED); }

bool IsGguf(const std::filesystem::path& path) {
  std::error_code error;
  return path.extension() == ".gguf" && !std::filesystem::is_directory(path, error);
}

}  // namespace sink
