// The conditions of `when` and `exclude` and the numbers of `derive`: a small, pure, typed language over a job's
// values.
//
//   condition  = term {"or" term}         term   = factor {"and" factor}       factor  = "not" factor | comparison
//   comparison = sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum]
//   sum        = product {("+" | "-") product}                 product = unary {("*" | "/") unary}
//   unary      = "-" unary | number | 'text' | "text" | null | dotted.key | "(" condition ")" | function
//   function   = ("round" | "floor" | "ceil" | "sqrt") "(" sum ")" | ("min" | "max") "(" sum "," sum ")"
//
// Types are checked when the file is read: numbers order and calculate, text only equals, `null` only equals an
// optional number (whose absence makes every other comparison false). Immutable; any thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sweeps/settings.h"
#include "sweeps/yaml.h"

namespace sink::sweeps {

class Expression {
 public:
  // Errors: INVALID_ARGUMENT at the offending token. At most 256 characters and 32 levels.
  static absl::StatusOr<Expression> ParseCondition(const Node& node);
  static absl::StatusOr<Expression> ParseNumber(const Node& node);

  bool IsTrue(const Values& values) const;       // for a condition
  double Calculate(const Values& values) const;  // for a number; NaN where an absent optional number is in it

 private:
  friend class ExpressionParser;
  enum class Type { kNumber, kOptionalNumber, kText, kNull, kBool };
  enum class Op {
    kNumber,
    kText,
    kNull,
    kField,
    kNegate,
    kNot,
    kAnd,
    kOr,
    kEqual,
    kNotEqual,
    kLess,
    kLessEqual,
    kGreater,
    kGreaterEqual,
    kAdd,
    kSubtract,
    kMultiply,
    kDivide,
    kRound,
    kFloor,
    kCeil,
    kSquareRoot,
    kMin,
    kMax
  };
  struct Term {
    Op op;
    Type type;
    double number = 0;
    std::string text{};
    FieldIndex field = 0;
    int left = -1, right = -1;  // into terms_
  };

  double Number(int term, const Values& values) const;  // NaN for an absent optional number
  const std::string& Text(int term, const Values& values) const;
  bool Bool(int term, const Values& values) const;

  std::vector<Term> terms_;  // operands before their operator; the last is the root
};

}  // namespace sink::sweeps
