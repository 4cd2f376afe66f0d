// A closed terminal ends a program unless it was started to outlive it.
#include "proto/base/hangup.h"

#include <gtest/gtest.h>

namespace sink {
namespace {

TEST(Hangup, EndsAProgramUnlessItWasStartedWithTheSignalIgnored) {
  const auto before = signal(SIGHUP, SIG_DFL);
  EXPECT_TRUE(EndsAtHangup());
  signal(SIGHUP, SIG_IGN);  // as nohup
  EXPECT_FALSE(EndsAtHangup());
  signal(SIGHUP, before);
}

}  // namespace
}  // namespace sink
