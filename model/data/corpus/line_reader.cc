// See line_reader.h.
#include "model/data/corpus/line_reader.h"

#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "model/base/data_error.h"

namespace sink::data {
namespace {

constexpr size_t kBufferBytes = 1 << 18;
constexpr std::string_view kZstdMagic("\x28\xb5\x2f\xfd", 4);

// zlib reads plain files through unchanged, so one class serves both.
class GzipSource : public ByteSource {
 public:
  explicit GzipSource(const std::filesystem::path& path) : name_(path.string()), file_(::gzopen(path.c_str(), "rbe")) {
    if (file_ == nullptr) throw DataError(name_ + ": cannot open: " + std::strerror(errno));
    ::gzbuffer(file_, kBufferBytes);
  }
  ~GzipSource() override { ::gzclose(file_); }

  size_t Read(char* out, size_t size) override {
    const int n = ::gzread(file_, out, static_cast<unsigned>(size));
    int code = Z_OK;
    const char* message = ::gzerror(file_, &code);
    if (n < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      if (code == Z_ERRNO) throw DataError(name_ + ": cannot read: " + std::strerror(errno));
      // zlib's own text opens with the path.
      throw DataError("damaged gzip data: " + (code == Z_BUF_ERROR ? name_ + ": truncated" : message));
    }
    return n;
  }
  uint64_t consumed() const override { return ::gzoffset(file_); }

 private:
  std::string name_;
  gzFile file_;
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(const std::filesystem::path& path)
      : name_(path.string()),
        file_(std::fopen(path.c_str(), "rbe"), &std::fclose),
        stream_(::ZSTD_createDStream(), &::ZSTD_freeDStream) {
    if (file_ == nullptr) throw DataError(name_ + ": cannot open: " + std::strerror(errno));
    compressed_.resize(::ZSTD_DStreamInSize());
  }

  size_t Read(char* out, size_t size) override {
    ZSTD_outBuffer output = {out, size, 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size && !Refill()) return 0;
      const size_t code = ::ZSTD_decompressStream(stream_.get(), &output, &input_);
      if (::ZSTD_isError(code)) throw DataError(name_ + ": damaged zstd data: " + ::ZSTD_getErrorName(code));
      frame_open_ = code != 0;
    }
    return output.pos;
  }
  uint64_t consumed() const override { return consumed_; }

 private:
  // False at the end of the file.
  bool Refill() {
    const size_t n = std::fread(compressed_.data(), 1, compressed_.size(), file_.get());
    if (std::ferror(file_.get())) throw DataError(name_ + ": cannot read: " + std::strerror(errno));
    if (n == 0 && frame_open_) throw DataError(name_ + ": damaged zstd data: truncated");
    consumed_ += n;
    input_ = {compressed_.data(), n, 0};
    return n > 0;
  }

  std::string name_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
  std::string compressed_;
  ZSTD_inBuffer input_ = {nullptr, 0, 0};
  bool frame_open_ = false;  // inside a frame, so the end of the file would be too early
  uint64_t consumed_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> OpenByteSource(const std::filesystem::path& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) throw DataError(path.string() + ": cannot open: " + std::strerror(errno));
  char magic[4] = {};
  const size_t n = std::fread(magic, 1, sizeof magic, file);
  std::fclose(file);
  if (std::string_view(magic, n) == kZstdMagic) return std::make_unique<ZstdSource>(path);
  return std::make_unique<GzipSource>(path);
}

LineReader::LineReader(const std::filesystem::path& path)
    : source_(OpenByteSource(path)), buffer_(kBufferBytes, '\0') {}

bool LineReader::Next(std::string* line) {
  line->clear();
  too_long_ = false;
  bool found = false;
  while (true) {
    if (begin_ == end_) {
      begin_ = 0;
      end_ = source_->Read(buffer_.data(), buffer_.size());
      if (end_ == 0) break;
    }
    found = true;
    const void* newline = std::memchr(buffer_.data() + begin_, '\n', end_ - begin_);
    const size_t stop = newline == nullptr ? end_ : static_cast<const char*>(newline) - buffer_.data();
    if (line->size() + (stop - begin_) > kMaxLineBytes) too_long_ = true;
    if (!too_long_) line->append(buffer_, begin_, stop - begin_);
    begin_ = newline == nullptr ? stop : stop + 1;
    if (newline != nullptr) break;
  }
  if (!found) return false;
  ++line_number_;
  if (too_long_) line->clear();
  if (line->ends_with('\r')) line->pop_back();
  return true;
}

}  // namespace sink::data
