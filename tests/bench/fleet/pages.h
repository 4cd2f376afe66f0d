// Browsers that have the coordinator's page open and read what comes, with one session: a connection each, all read by
// one thread of this object. For fleet_bench; made and destroyed by one thread.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "proto/files/descriptor.h"

namespace sink::bench {

class Pages {
 public:
  // Returns once each of `count` browsers has the whole of the first of the topics that has come.
  Pages(const std::string& address, const std::string& credentials, const std::vector<std::string>& topics, int count);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

 private:
  void Read();

  std::vector<files::Fd> sockets_;
  files::Fd poll_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace sink::bench
