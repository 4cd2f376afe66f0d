// See byte_source.h.
#include "model/data/corpus/byte_source.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "model/base/data_error.h"
#include "model/data/corpus/raw_bytes.h"

namespace sink::data {
namespace {

constexpr size_t kMagicBytes = 6;        // at most, of those below
constexpr size_t kZstdHeaderBytes = 18;  // of a frame, at most (RFC 8878, section 3.1.1.1)

// How files begin that hold text which would come out as no text at all.
struct Refused {
  std::string_view magic;
  const char* name;
};
constexpr Refused kRefused[] = {{std::string_view("\xfd\x37zXZ\0", 6), "xz"},
                                {"BZh", "bzip2"},
                                {"\x04\x22\x4d\x18", "lz4"},
                                {"PK\x03\x04", "zip"},
                                {"7z\xbc\xaf\x27\x1c", "7z"},
                                {"PAR1", "Parquet"}};

bool BeginsGzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

// A frame of data, of an older version or not (which the library then refuses by name), or a skippable one.
bool BeginsZstd(std::string_view bytes) {
  if (bytes.size() < 4) return false;
  const auto first = static_cast<unsigned char>(bytes[0]);
  return (first >= 0x22 && first <= 0x28 && bytes.substr(1, 3) == "\xb5\x2f\xfd") ||
         (first >= 0x50 && first <= 0x5f && bytes.substr(1, 3) == "\x2a\x4d\x18");
}

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(RawBytes raw) : raw_(std::move(raw)) {}

  size_t Read(char* out, size_t size) override {
    const std::string_view bytes = raw_.Peek(1).substr(0, size);
    std::memcpy(out, bytes.data(), bytes.size());
    raw_.Take(bytes.size());
    return bytes.size();
  }
  uint64_t consumed() const override { return raw_.offset(); }
  files::FileDigest digest() const override { return raw_.digest(); }

 private:
  RawBytes raw_;
};

// One compressed part (a gzip member, a zstd frame) after another.
class PartsSource : public ByteSource {
 public:
  PartsSource(RawBytes raw, const char* format) : raw_(std::move(raw)), format_(format) {}

  size_t Read(char* out, size_t size) override {
    for (;;) {
      if (!inside_ && !BeginPart()) return 0;
      const Step step = Decode(raw_.Peek(1), out, size);
      raw_.Take(step.taken);
      if (step.wrong != nullptr) Fail("damaged " + format_ + " data: " + step.wrong);
      inside_ = !step.ended;
      if (step.given > 0) return step.given;
      if (inside_ && step.taken == 0) Fail("damaged " + format_ + " data: truncated");
    }
  }
  uint64_t consumed() const override { return raw_.offset(); }
  files::FileDigest digest() const override { return raw_.digest(); }

 protected:
  struct Step {
    size_t taken = 0, given = 0;  // bytes
    bool ended = false;           // the part
    const char* wrong = nullptr;  // with the data
  };
  // Passes over what may stand before a part and looks whether one begins; false when it does not.
  virtual bool FindPart(RawBytes* raw) = 0;
  virtual Step Decode(std::string_view input, char* out, size_t size) = 0;

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    throw DataError(raw_.name() + ": " + what + ", at byte " + std::to_string(raw_.offset()));
  }
  bool BeginPart() {
    if (FindPart(&raw_)) return true;
    if (raw_.Peek(1).empty()) return false;
    Fail("what follows the " + format_ + " data is not " + format_ + " data");
  }

  RawBytes raw_;
  std::string format_;
  bool inside_ = false;  // a part, so the end of the file would be too early
};

class GzipSource : public PartsSource {
 public:
  explicit GzipSource(RawBytes raw) : PartsSource(std::move(raw), "gzip") {
    if (::inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~GzipSource() override { ::inflateEnd(&stream_); }

 protected:
  bool FindPart(RawBytes* raw) override {
    while (raw->Peek(1).starts_with('\0')) raw->Take(1);
    ::inflateReset(&stream_);
    return BeginsGzip(raw->Peek(2));
  }

  Step Decode(std::string_view input, char* out, size_t size) override {
    size = std::min<size_t>(size, UINT_MAX);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(size);
    const int code = ::inflate(&stream_, Z_NO_FLUSH);
    const bool good = code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR;  // the last: no more input
    return {.taken = input.size() - stream_.avail_in,
            .given = size - stream_.avail_out,
            .ended = code == Z_STREAM_END,
            .wrong = good                     ? nullptr
                     : stream_.msg != nullptr ? stream_.msg
                                              : ::zError(code)};
  }

 private:
  z_stream stream_ = {};
};

class ZstdSource : public PartsSource {
 public:
  explicit ZstdSource(RawBytes raw)
      : PartsSource(std::move(raw), "zstd"), stream_(::ZSTD_createDStream(), &::ZSTD_freeDStream) {
    if (stream_ == nullptr) throw std::bad_alloc();
    // `zstd --long=31`, as large archives of text are made, looks back so far; memory is touched as text comes.
    ::ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, 31);
  }

 protected:
  bool FindPart(RawBytes* raw) override {
    const std::string_view header = raw->Peek(kZstdHeaderBytes);
    if (!BeginsZstd(header)) return false;
    declared_ = ::ZSTD_getFrameContentSize(header.data(), header.size());
    given_ = 0;
    return true;
  }

  Step Decode(std::string_view input, char* out, size_t size) override {
    ZSTD_inBuffer in = {input.data(), input.size(), 0};
    ZSTD_outBuffer output = {out, size, 0};
    const size_t code = ::ZSTD_decompressStream(stream_.get(), &output, &in);
    given_ += output.pos;
    // The library lets a frame end before its text is whole when the frame ends with an empty block and is taken in
    // small pieces.
    const bool known = declared_ != ZSTD_CONTENTSIZE_UNKNOWN && declared_ != ZSTD_CONTENTSIZE_ERROR;
    const bool short_of = code == 0 && known && given_ != declared_;
    return {.taken = in.pos,
            .given = output.pos,
            .ended = code == 0,
            .wrong = ::ZSTD_isError(code) ? ::ZSTD_getErrorName(code)
                     : short_of           ? "a frame holds less than its header says"
                                          : nullptr};
  }

 private:
  unsigned long long declared_ = ZSTD_CONTENTSIZE_UNKNOWN;  // bytes of text in the frame, by its header
  unsigned long long given_ = 0;                            // so far
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_;
};

}  // namespace

std::unique_ptr<ByteSource> OpenByteSource(const std::filesystem::path& path) {
  RawBytes raw(path);
  const std::string_view start = raw.Peek(kMagicBytes);
  for (const Refused& refused : kRefused) {
    if (!start.starts_with(refused.magic)) continue;
    throw DataError(raw.name() + ": " + refused.name + " data, which is not read; make it plain text, gzip or zstd");
  }
  if (BeginsGzip(start)) return std::make_unique<GzipSource>(std::move(raw));
  if (BeginsZstd(start)) return std::make_unique<ZstdSource>(std::move(raw));
  return std::make_unique<PlainSource>(std::move(raw));
}

}  // namespace sink::data
