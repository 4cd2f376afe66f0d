// See event_sender.h.
#include "worker/event_sender.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/log/log.h"

namespace sink::worker {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);
// Lets the events of one step travel together; the last ones have nothing to wait for.
constexpr absl::Duration kLinger = absl::Milliseconds(20);

}  // namespace

EventSender::EventSender(LeasedCalls* calls, Spool* spool) : calls_(calls), spool_(spool), thread_([this] { Run(); }) {}

EventSender::~EventSender() {
  closing_ = true;
  spool_->Release();
  thread_.join();
}

void EventSender::Run() {
  const LogScope scope(calls_->lease().job_id(), calls_->lease().lease_id());
  const Notification& abandoned = calls_->control().abandoned();
  Delivery delivery(spool_->first_kept_seq());
  absl::Duration pause = absl::ZeroDuration();  // that the coordinator asks for
  while (!abandoned.HasBeenNotified()) {
    if (const uint64_t expected = calls_->TakeMissingEvents(); expected > 0) delivery.GoBack(expected);
    if (!spool_->WaitForRecordAfter(delivery.next() - 1, kPoll)) {
      if (closing_) return;
      continue;
    }
    spool_->WaitUntilSealed(kLinger);
    if (abandoned.WaitFor(pause)) return;
    const absl::StatusOr<absl::Duration> sent = SendBatch(&delivery);
    if (sent.ok()) {
      pause = std::min(*sent, kLongestPause);
      continue;
    }
    if (!abandoned.HasBeenNotified()) {
      spdlog::error("job {}: its events could not be delivered: {}", calls_->lease().job_id(),
                    sent.status().ToString());
      calls_->GiveUpEvents(std::string(sent.status().message()));
      calls_->control().Request(StopReason::kRefused);
    }
    return;
  }
}

std::string EventSender::WhyGone(uint64_t seq) const {
  if (seq >= spool_->first_kept_seq()) return SpoolDamage(seq - 1);
  return absl::StrCat("the coordinator lacks events from ", seq, " on, and this worker does not have them any more");
}

absl::StatusOr<absl::Duration> EventSender::SendBatch(Delivery* delivery) {
  const uint64_t first = delivery->next();
  auto request = calls_->Fill<v1::ReportRequest>();
  for (SpoolRecord& record : spool_->Read(first, kMaxBatchEvents, kMaxBatchBytes)) {
    v1::Event* event = request.add_events();
    event->set_seq(record.seq);
    event->set_record(std::move(record.line));
    event->set_time_ms(record.time_ms);
  }
  if (request.events().empty()) return absl::DataLossError(WhyGone(first));

  v1::ReportResponse answer;
  const absl::Status status = calls_->Retry(calls_->control().abandoned(), [&] {
    auto response = calls_->link().Report(request);
    if (response.ok()) answer = *response;
    if (response.ok() && response->cancel()) calls_->control().Request(StopReason::kCancel);
    return response.status();
  });
  const Delivery::Effect effect = delivery->Answered(first, status, answer.durable_seq());
  if (effect.acknowledge > 0) spool_->Acknowledge(effect.acknowledge);
  if (!effect.failed.ok()) {
    return absl::Status(effect.failed.code(), absl::StrCat("the coordinator refused the trainer's events as invalid: ",
                                                           effect.failed.message()));
  }
  return absl::Milliseconds(answer.pause_ms());
}

bool EventSender::WaitUntilDurable(uint64_t seq) {
  while (!spool_->WaitForAcknowledged(seq, kPoll)) {
    if (calls_->events_given_up() || calls_->control().abandoned().HasBeenNotified()) return false;
  }
  return true;
}

}  // namespace sink::worker
