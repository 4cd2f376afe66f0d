// Fuzzes what stands between a hostile peer and core: whatever bytes decode to a message, validation never crashes, and
// what it lets through can name no path outside a checkpoint's folder. The first byte chooses the message.
#include <cstdlib>
#include <string>

#include "coordinator/service/convert.h"
#include "coordinator/service/validate.h"

namespace {

template <typename Request>
bool Accepts(const char* data, int size, Request* request) {
  return request->ParseFromArray(data, size) && sink::Validate(*request).ok();
}

void Require(bool holds) {
  if (!holds) std::abort();
}

bool StaysInFolder(const std::string& name) {
  return !name.empty() && name[0] != '.' && name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

void CheckLease(const sink::v1::LeaseRef& lease) {
  Require(StaysInFolder(lease.job_id()) && lease.job_id().size() == 32);
  Require(sink::FromProto(lease).fence >= 1);
}

void Run(int kind, const char* data, int size) {
  using namespace sink::v1;
  switch (kind % 10) {
    case 0:
      if (RegisterRequest r; Accepts(data, size, &r)) sink::FromProto(r, "peer");
      break;
    case 1:
      if (HeartbeatRequest r; Accepts(data, size, &r)) sink::FromProto(r);
      break;
    case 2:
      if (ReportRequest r; Accepts(data, size, &r)) {
        CheckLease(r.lease());
        Require(sink::FromProto(r).size() <= sink::kMaxEvents);
      }
      break;
    case 3:
      if (BeginCheckpointRequest r; Accepts(data, size, &r)) {
        CheckLease(r.lease());
        for (const auto& file : sink::FromProto(r)) Require(StaysInFolder(file.name) && file.name.size() <= 128);
      }
      break;
    case 4:
      if (WriteCheckpointRequest r; r.ParseFromArray(data, size) && sink::ValidateFirst(r).ok()) {
        CheckLease(r.lease());
        Require(StaysInFolder(r.file()) && sink::ValidateNext(r).ok());
      }
      break;
    case 5:
      if (CommitCheckpointRequest r; Accepts(data, size, &r)) CheckLease(r.lease());
      break;
    case 6:
      if (FinishRequest r; Accepts(data, size, &r)) Require(sink::IsFinal(sink::FromProto(r).outcome));
      break;
    case 7:
      if (SubmitSweepRequest r; Accepts(data, size, &r)) Require(r.files_size() >= 1);
      break;
    case 8:
      if (CancelRequest r; Accepts(data, size, &r))
        Require(sink::FromProto(r).sweep.empty() != (r.job_ids_size() == 0));
      break;
    case 9: {
      const std::string text = sink::ValidUtf8(std::string(data, size));
      Require(text.size() == static_cast<size_t>(size) && sink::ValidUtf8(text) == text);
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) Run(data[0], reinterpret_cast<const char*>(data) + 1, static_cast<int>(size) - 1);
  return 0;
}
