// See event_sender.h.
#include "worker/event_sender.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "coordinator/errors/error_detail.h"
#include "coordinator/log/log.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);
constexpr absl::Duration kLinger = absl::Milliseconds(20);  // lets the events of one step travel together

}  // namespace

EventSender::EventSender(LeasedCalls* calls, Spool* spool) : calls_(calls), spool_(spool), thread_([this] { Run(); }) {}

EventSender::~EventSender() {
  closing_ = true;
  thread_.join();
}

void EventSender::Run() {
  const LogScope scope(calls_->lease().job_id(), calls_->lease().lease_id());
  const absl::Notification& abandoned = calls_->control().abandoned();
  uint64_t next = spool_->first_kept_seq();
  while (!abandoned.HasBeenNotified()) {
    if (!spool_->WaitForRecordAfter(next - 1, kPoll)) {
      if (closing_) return;
      continue;
    }
    absl::SleepFor(kLinger);
    const absl::StatusOr<uint64_t> sent = SendBatch(next);
    if (!sent.ok()) {
      if (!abandoned.HasBeenNotified()) {
        spdlog::error("job {}: events not delivered: {}", calls_->lease().job_id(), sent.status().ToString());
        refused_ = true;
        calls_->control().Request(StopReason::kRefused);
      }
      return;
    }
    next = *sent;
  }
}

absl::StatusOr<uint64_t> EventSender::SendBatch(uint64_t first) {
  auto request = calls_->Fill<v1::ReportRequest>();
  for (SpoolRecord& record : spool_->Read(first, kMaxBatchEvents, kMaxBatchBytes)) {
    v1::Event* event = request.add_events();
    event->set_seq(record.seq);
    event->set_record(std::move(record.line));
    event->set_time_ms(record.time_ms);
  }
  if (request.events().empty()) return absl::DataLossError(absl::StrCat("event ", first, " is not in the spool"));

  uint64_t durable = 0;
  const absl::Status status = calls_->Retry(calls_->control().abandoned(), [&] {
    auto response = calls_->link().Report(request);
    if (response.ok()) durable = response->durable_seq();
    return response.status();
  });
  if (absl::IsOutOfRange(status)) {
    // The coordinator has fewer events than we thought, for example because it was restored from a backup.
    const std::optional<uint64_t> expected = ExpectedEvent(status);
    if (!expected || *expected == first) return status;
    if (*expected > first) spool_->Acknowledge(*expected - 1);
    return *expected;
  }
  if (!status.ok()) return status;
  spool_->Acknowledge(durable);
  return std::max(durable + 1, spool_->first_kept_seq());
}

bool EventSender::WaitUntilDurable(uint64_t seq) {
  while (!spool_->WaitForAcknowledged(seq, kPoll)) {
    if (refused_ || calls_->control().abandoned().HasBeenNotified()) return false;
  }
  return true;
}

}  // namespace sink::worker
