// cuDNN's front end accepts our graphs of attention, for the architectures that kernels are built for and every shape
// of the study. It asks for a device even where it is told the architecture: without one this is skipped.
#include "model/backend/cuda/cudnn/graphs.h"

#include <gtest/gtest.h>

#include <string>

namespace sink::cuda::cudnn {
namespace {

struct Case {
  kernels::cuda::AttentionShape shape;
  int64_t window;
};

TEST(CudnnGraphs, AreValidForEveryShapeOfTheStudy) {
  for (const int sm : {80, 90})
    for (const Case& c :
         {Case{{16, 2048, 8, 8, 96}, 0}, Case{{16, 2048, 8, 8, 96}, 512}, Case{{8, 2048, 16, 16, 128}, 0},
          Case{{8, 2048, 16, 4, 64}, 128}, Case{{2, 300, 4, 2, 32}, 13}, Case{{2, 256, 4, 4, 16}, 0}}) {
      SCOPED_TRACE(::testing::Message() << "sm_" << sm << ", length " << c.shape.length << ", heads of "
                                        << c.shape.head_dim << ", window " << c.window);
      for (const Graph& graph : {ForwardGraph(c.shape, c.window), BackwardGraph(c.shape, c.window, true),
                                 BackwardGraph(c.shape, c.window, false)}) {
        graph->set_sm_version(sm);
        auto status = graph->validate();  // whose get_message() is not const
        const std::string what = status.get_message();
        if (what.find("cuda_get_device") != std::string::npos) GTEST_SKIP() << "no device: " << what;
        EXPECT_TRUE(status.is_good()) << what;
      }
    }
}

}  // namespace
}  // namespace sink::cuda::cudnn
