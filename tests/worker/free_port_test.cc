// The port that a worker proposes for a rendezvous can be listened on.
#include "worker/free_port.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "proto/files/descriptor.h"

namespace sink::worker {
namespace {

TEST(HoldFreeTcpPort, CanBeListenedOnOnceItIsLetGoAndNotBefore) {
  for (int i = 0; i < 20; ++i) {
    HeldPort held = HoldFreeTcpPort();
    const int port = held.port;
    ASSERT_GT(port, 0);
    const files::Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_NE(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << port;
    held.socket.Close();
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << port;
    EXPECT_EQ(listen(fd.get(), 1), 0) << port;
  }
}

}  // namespace
}  // namespace sink::worker
