// Any bytes as the start of a packed file of that size, and as set.json: read or refused with a DataError, never more.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/base/data_error.h"
#include "model/data/packed/litpkds.h"
#include "model/data/packed/packed_set.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sink::data;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const PackedHeader header = ParsePackedHeader(bytes.substr(0, kPackedHeaderBytes), size, "fuzz");
    if (kPackedHeaderBytes + header.tokens * header.token_bytes() != size) std::abort();
    if (EncodePackedHeader(header) != bytes.substr(0, kPackedHeaderBytes)) std::abort();
  } catch (const DataError&) {
  }
  try {
    const PackedSet set = ParseSet(bytes, "fuzz");
    if (PrintSet(ParseSet(PrintSet(set), "printed")) != PrintSet(set)) std::abort();
    DomainsText(set, "train");
  } catch (const DataError&) {
  }
  return 0;
}
