// Several threads work on items that must be read and written in order. One item at a time is read, all threads work at
// once, and the results are taken one at a time in the order of reading, so what is written does not depend on the
// number of threads. Each thread holds one item, from reading it until it was taken: there are never more items in
// memory than threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace sink {

template <typename Item>
struct PipelineStages {
  std::function<std::optional<Item>()> read;         // nothing at the end; one call at a time
  std::function<void(int thread, Item& item)> work;  // by every thread at once, each with its own number from 0
  std::function<void(Item& item)> take;              // one call at a time, in the order of reading
};

// Belongs to the thread that calls Run(), which is thread 0 of the work.
template <typename Item>
class OrderedPipeline {
 public:
  explicit OrderedPipeline(PipelineStages<Item> stages) : stages_(std::move(stages)) {}

  // Returns when every item was taken. Throws what a stage has thrown, when no thread runs any more: of several
  // exceptions the one of the first item in order, after all items before it were taken and none behind it. Once only.
  void Run(int threads) {
    {
      std::vector<std::future<void>> others;  // each is waited for when it goes out of scope, and none throws
      for (int thread = 1; thread < threads; ++thread)
        others.push_back(std::async(std::launch::async, [this, thread] { Work(thread); }));
      Work(0);
    }
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // An item with its place in the order, or, with an error, the place where reading or working failed.
  struct Numbered {
    int64_t number = 0;
    std::optional<Item> item;
    std::exception_ptr error;
  };

  void Work(int thread) {
    while (std::optional<Numbered> next = Read()) {
      try {
        if (!next->error) stages_.work(thread, *next->item);
      } catch (...) {
        next->error = std::current_exception();
      }
      if (!Take(&*next)) return;
    }
  }

  std::optional<Numbered> Read() {
    const std::lock_guard lock(read_mutex_);
    if (read_all_) return std::nullopt;
    Numbered next = {.number = read_};
    try {
      next.item = stages_.read();
      read_all_ = !next.item;
    } catch (...) {
      next.error = std::current_exception();
      read_all_ = true;
    }
    if (!next.item && !next.error) return std::nullopt;
    ++read_;
    return next;
  }

  // Waits for the item's turn; false when something has failed, and the thread must end.
  bool Take(Numbered* next) {
    std::unique_lock lock(take_mutex_);
    turn_.wait(lock, [&] { return failure_ || taken_ == next->number; });
    if (failure_) return false;
    try {
      if (next->error) std::rethrow_exception(next->error);
      stages_.take(*next->item);
    } catch (...) {
      failure_ = std::current_exception();
    }
    ++taken_;
    turn_.notify_all();
    return !failure_;
  }

  const PipelineStages<Item> stages_;
  std::mutex read_mutex_;  // guards the next two
  int64_t read_ = 0;       // items
  bool read_all_ = false;
  std::mutex take_mutex_;  // guards the rest
  std::condition_variable turn_;
  int64_t taken_ = 0;  // items
  std::exception_ptr failure_;
};

}  // namespace sink
