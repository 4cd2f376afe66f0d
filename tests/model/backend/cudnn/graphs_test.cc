// cuDNN's front end accepts our graphs of attention, as far as that can be known without a device: for the
// architectures that kernels are built for and every shape of the study.
#include "model/backend/cuda/cudnn/graphs.h"

#include <gtest/gtest.h>

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
        EXPECT_TRUE(status.is_good()) << status.get_message();
      }
    }
}

}  // namespace
}  // namespace sink::cuda::cudnn
