// Muon: the orthogonalisation by its singular values, a matrix's steps against plain loops in double, and which
// parameters of a model it gets.
#include "model/train/learning/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "model/train/learning/optimizer.h"
#include "tests/model/train/helpers/tiny_job.h"

namespace sink::train {
namespace {

TEST(Orthogonalize, SingularValuesComeNearOne) {
  at::manual_seed(1);
  const std::vector<std::vector<int64_t>> shapes = {{1, 1}, {1, 50}, {8, 8}, {16, 48}, {48, 16}, {64, 192}, {300, 20}};
  for (const auto& shape : shapes)
    for (const double scale : {1e-3, 1.0, 1e3}) {
      const at::Tensor x = at::randn(shape) * scale;
      const at::Tensor y = Orthogonalize(x);
      ASSERT_EQ(y.sizes(), x.sizes());
      const at::Tensor values = at::linalg_svdvals(y);
      EXPECT_GT(values.min().item<double>(), 0.68) << x.sizes();
      EXPECT_LT(values.max().item<double>(), 1.21) << x.sizes();
    }
}

TEST(Orthogonalize, KeepsTheSingularVectors) {
  // With x = U S V' and y = U f(S) V', x y' = U S f(S) U' is symmetric and its trace is the sum of s f(s).
  const at::Tensor x = at::randn({12, 30});
  const at::Tensor product = x.mm(Orthogonalize(x).t());
  EXPECT_LT((product - product.t()).norm().item<double>(), 1e-4 * product.norm().item<double>());
  EXPECT_GT(product.trace().item<double>(), 0.68 * at::linalg_svdvals(x).sum().item<double>());
}

TEST(Orthogonalize, ZeroStaysZero) { EXPECT_EQ(Orthogonalize(at::zeros({3, 5})).abs().max().item<double>(), 0); }

// The formula of muon.h again: row-major doubles, loops, nothing transposed.
struct PlainMuon {
  using Matrix = std::vector<double>;
  int rows, columns;
  Matrix value, momentum = Matrix(value.size(), 0.0);

  Matrix Orthogonal(Matrix x) const {
    double squares = 0;
    for (const double v : x) squares += v * v;
    for (double& v : x) v /= std::sqrt(squares) + 1e-7;
    for (int iteration = 0; iteration < 5; ++iteration) {  // with A = X'X on the right: the same polynomial of X
      const Matrix gram = Product(Transposed(x, rows, columns), x, columns, rows, columns);
      const Matrix once = Product(x, gram, rows, columns, columns), twice = Product(once, gram, rows, columns, columns);
      for (size_t i = 0; i < x.size(); ++i) x[i] = 3.4445 * x[i] - 4.7750 * once[i] + 2.0315 * twice[i];
    }
    return x;
  }

  void Step(const Matrix& gradient, double rate, double mu, double decay, double scale) {
    Matrix direction(value.size());
    for (size_t i = 0; i < value.size(); ++i) {
      momentum[i] = mu * momentum[i] + scale * gradient[i];
      direction[i] = scale * gradient[i] + mu * momentum[i];
    }
    direction = Orthogonal(direction);
    const double aspect = rows > columns ? std::sqrt(static_cast<double>(rows) / columns) : 1;
    for (size_t i = 0; i < value.size(); ++i) value[i] = value[i] * (1 - rate * decay) - rate * aspect * direction[i];
  }

  static Matrix Transposed(const Matrix& x, int rows, int columns) {
    Matrix out(x.size());
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        out[static_cast<size_t>(j * rows + i)] = x[static_cast<size_t>(i * columns + j)];
    return out;
  }
  static Matrix Product(const Matrix& a, const Matrix& b, int n, int k, int m) {
    Matrix out(static_cast<size_t>(n * m), 0.0);
    for (int i = 0; i < n; ++i)
      for (int j = 0; j < m; ++j)
        for (int l = 0; l < k; ++l)
          out[static_cast<size_t>(i * m + j)] += a[static_cast<size_t>(i * k + l)] * b[static_cast<size_t>(l * m + j)];
    return out;
  }
};

std::vector<double> Doubles(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kDouble).contiguous();
  return {wide.const_data_ptr<double>(), wide.const_data_ptr<double>() + wide.numel()};
}

TEST(MuonMatrix, StepsFollowTheFormula) {
  for (const auto& [rows, columns] : {std::pair{9, 5}, std::pair{4, 11}, std::pair{6, 6}}) {
    const Parameter parameter{"w", at::randn({rows, columns}), at::zeros({rows, columns})};
    MuonMatrix matrix(parameter);
    PlainMuon plain{rows, columns, Doubles(parameter.value)};
    for (int step = 0; step < 4; ++step) {
      parameter.gradient.copy_(at::randn({rows, columns}));
      matrix.Update(
          {.learning_rate = 0.1, .momentum = 0.9, .weight_decay = 0.5, .gradient_scale = at::full({}, 0.25f)});
      plain.Step(Doubles(parameter.gradient), 0.1, 0.9, 0.5, 0.25);
      const std::vector<double> value = Doubles(parameter.value);
      for (size_t i = 0; i < value.size(); ++i) ASSERT_NEAR(value[i], plain.value[i], 1e-5) << rows << " " << step;
    }
  }
}

TEST(MuonMatrix, AFactorOfZeroLeavesEverythingAsItIs) {
  const Parameter parameter{"w", at::randn({6, 4}), at::full({6, 4}, std::nan(""))};
  MuonMatrix matrix(parameter);
  const at::Tensor before = parameter.value.clone();
  matrix.Update({.learning_rate = 0.1, .weight_decay = 0.5, .gradient_scale = at::zeros({})});
  EXPECT_TRUE(parameter.value.equal(before));
  EXPECT_TRUE(matrix.momentum().equal(at::zeros({6, 4})));
}

TEST(Optimizer, MuonGetsTheMatricesOfTheLayersAndAdamWTheRest) {
  const TinyJob job;
  TrainConfig config = job.config.train;
  Transformer before(job.config.model, at::kCPU);
  before.Initialize(1);
  before.gradients().copy_(at::randn(before.gradients().sizes()));
  const auto updated = [&](OptimizerKind kind) {
    Transformer model(job.config.model, at::kCPU);
    model.values().copy_(before.values());
    model.gradients().copy_(before.gradients());
    config.optimizer = kind;
    Optimizer optimizer(config, model, WholeOf(model));
    optimizer.Update(/*step=*/0, /*learning_rate=*/config.learning_rate / 4, /*gradient_scale=*/at::full({}, 0.5f));
    return std::pair(model, optimizer.State());
  };
  const auto [adamw, adamw_state] = updated(OptimizerKind::kAdamw);
  const auto [muon, muon_state] = updated(OptimizerKind::kMuon);

  int matrices = 0;
  for (size_t i = 0; i < before.parameters().size(); ++i) {
    const Parameter& old = before.parameters()[i];
    EXPECT_TRUE(adamw_state.contains("m." + old.name) && adamw_state.contains("v." + old.name));
    at::Tensor expected = adamw.parameters()[i].value;
    if (old.name.find("_proj.") != std::string::npos) {
      ++matrices;
      EXPECT_EQ(muon_state.at("momentum." + old.name).sizes(), old.value.sizes());
      EXPECT_FALSE(muon_state.contains("m." + old.name));
      const Parameter copy{old.name, old.value.clone(), old.gradient};
      MuonMatrix(copy).Update({.learning_rate = config.muon_learning_rate / 4,
                               .momentum = config.muon_momentum,
                               .weight_decay = config.weight_decay,
                               .gradient_scale = at::full({}, 0.5f)});
      expected = copy.value;
    } else {
      EXPECT_TRUE(muon_state.at("v." + old.name).equal(adamw_state.at("v." + old.name))) << old.name;
    }
    EXPECT_TRUE(muon.parameters()[i].value.equal(expected)) << old.name;
  }
  EXPECT_EQ(matrices, 2 * 7);
  EXPECT_EQ(adamw_state.size(), 2 * before.parameters().size());
  EXPECT_EQ(muon_state.size(), 2 * before.parameters().size() - 2 * 7);
}

}  // namespace
}  // namespace sink::train
