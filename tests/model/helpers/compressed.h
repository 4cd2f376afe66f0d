// Compressed text for tests, as the usual programs write it. Pure; any thread.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

namespace sink::data {

inline std::string Gzip(const std::string& text) {
  std::string out(::compressBound(text.size()) + 64, '\0');
  z_stream stream = {};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = text.size();
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = out.size();
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

inline std::string Zstd(const std::string& text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

// A zstd frame that decoders pass over, with these bytes inside; pzstd writes one before each of its frames.
inline std::string SkippableFrame(const std::string& bytes) {
  std::string frame("\x5a\x2a\x4d\x18", 4);
  for (int i = 0; i < 4; ++i) frame += static_cast<char>(bytes.size() >> (8 * i));
  return frame + bytes;
}

}  // namespace sink::data
