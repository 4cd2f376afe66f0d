#include "sweeps/expression.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace sink::sweeps {

// Recursive descent over one line of text. Methods return the index of the term that they added, or -1 after an error.
class ExpressionParser {
 public:
  using Op = Expression::Op;
  using Type = Expression::Type;

  ExpressionParser(const Node& node, absl::string_view what) : text_(node.text), start_(node.at), what_(what) {
    start_.column += node.plain ? 0 : 1;  // the opening quote
  }

  absl::StatusOr<Expression> ParseCondition() {
    const int root = Whole();
    if (root >= 0 && TypeOf(root) != Type::kBool)
      return Error(0, "a condition must compare something, such as \"train.seed == 1\"");
    if (!status_.ok()) return status_;
    return std::move(expression_);
  }
  absl::StatusOr<Expression> ParseNumber() {
    const int root = Whole();
    if (root >= 0 && !IsNumber(root)) return Error(0, absl::StrCat("it must be a number, not ", Name(TypeOf(root))));
    if (!status_.ok()) return status_;
    return std::move(expression_);
  }

 private:
  Type TypeOf(int term) const { return expression_.terms_[term].type; }
  absl::Status Error(size_t offset, absl::string_view message) {
    Location place = start_;
    place.column += static_cast<int>(offset);
    if (status_.ok()) status_ = ErrorAt(place, absl::StrCat("in the ", what_, ": ", message));
    return status_;
  }
  int Fail(size_t offset, absl::string_view message) {
    Error(offset, message).IgnoreError();  // kept in status_
    return -1;
  }
  int Add(Expression::Term term) {
    expression_.terms_.push_back(std::move(term));
    return static_cast<int>(expression_.terms_.size()) - 1;
  }

  bool AtEnd() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ == text_.size();
  }
  static bool IsWordPart(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '.'; }
  bool TakeWord(absl::string_view word) {
    if (AtEnd() || text_.compare(at_, word.size(), word.data(), word.size()) != 0) return false;
    if (at_ + word.size() < text_.size() && IsWordPart(text_[at_ + word.size()])) return false;
    at_ += word.size();
    return true;
  }
  bool TakeSymbol(absl::string_view symbol) {
    if (AtEnd() || text_.compare(at_, symbol.size(), symbol.data(), symbol.size()) != 0) return false;
    at_ += symbol.size();
    return true;
  }

  int Whole() {
    const int root = Condition();
    return root >= 0 && !AtEnd() ? Fail(at_, "expected an operator or the end") : root;
  }
  int Condition() {
    int left = Conjunction();
    while (left >= 0 && TakeWord("or")) left = Logical(Op::kOr, left, Conjunction());
    return left;
  }
  int Conjunction() {
    int left = Negation();
    while (left >= 0 && TakeWord("and")) left = Logical(Op::kAnd, left, Negation());
    return left;
  }
  int Negation() {
    if (!TakeWord("not")) return Comparison();
    if (++depth_ > kMaxDepth) return Fail(at_, "nested too deeply");
    const int operand = Negation();
    --depth_;
    return operand < 0 ? -1 : Logical(Op::kNot, operand, operand);
  }
  int Logical(Op op, int left, int right) {
    if (right < 0) return -1;
    if (TypeOf(left) != Type::kBool || TypeOf(right) != Type::kBool)
      return Fail(at_, "and, or and not join comparisons, not values");
    return Add({op, Type::kBool, 0, "", 0, left, right});
  }

  int Comparison() {
    static constexpr std::pair<const char*, Op> kSymbols[] = {{"==", Op::kEqual},     {"!=", Op::kNotEqual},
                                                              {"<=", Op::kLessEqual}, {">=", Op::kGreaterEqual},
                                                              {"<", Op::kLess},       {">", Op::kGreater}};
    const int left = Sum();
    if (left < 0) return -1;
    for (const auto& [symbol, op] : kSymbols) {
      const size_t offset = (AtEnd(), at_);
      if (!TakeSymbol(symbol)) continue;
      const int right = Sum();
      if (right < 0) return -1;
      const Type a = TypeOf(left), b = TypeOf(right);
      const bool equality = op == Op::kEqual || op == Op::kNotEqual;
      const bool optional_null =
          (a == Type::kOptionalNumber && b == Type::kNull) || (a == Type::kNull && b == Type::kOptionalNumber);
      const bool legal = (IsNumber(left) && IsNumber(right)) || (equality && a == Type::kText && b == Type::kText) ||
                         (equality && optional_null);
      if (!legal) return Fail(offset, absl::StrCat("\"", symbol, "\" cannot compare ", Name(a), " with ", Name(b)));
      return Add({op, Type::kBool, 0, "", 0, left, right});
    }
    return left;
  }
  int Sum() {
    int left = Product();
    while (left >= 0) {
      if (TakeSymbol("+"))
        left = Arithmetic(Op::kAdd, left, Product());
      else if (TakeSymbol("-"))
        left = Arithmetic(Op::kSubtract, left, Product());
      else
        break;
    }
    return left;
  }
  int Product() {
    int left = Unary();
    while (left >= 0) {
      if (TakeSymbol("*"))
        left = Arithmetic(Op::kMultiply, left, Unary());
      else if (TakeSymbol("/"))
        left = Arithmetic(Op::kDivide, left, Unary());
      else
        break;
    }
    return left;
  }
  int Arithmetic(Op op, int left, int right) {
    if (right < 0) return -1;
    if (!IsNumber(left) || !IsNumber(right)) return Fail(at_, "only numbers can be calculated with");
    return Add({op, Type::kNumber, 0, "", 0, left, right});
  }
  int Unary() {
    if (++depth_ > kMaxDepth) return Fail(at_, "nested too deeply");
    const int term = Operand();
    --depth_;
    return term;
  }
  int Operand() {
    if (AtEnd()) return Fail(at_, "expected a value, but it ends here");
    const size_t offset = at_;
    const char c = text_[at_];
    if (TakeSymbol("-")) {
      const int operand = Unary();
      return operand < 0 ? -1 : Arithmetic(Op::kNegate, operand, operand);
    }
    if (TakeSymbol("(")) {
      const int inner = Condition();
      if (inner >= 0 && !TakeSymbol(")")) return Fail(at_, "expected \")\"");
      return inner;
    }
    if (c == '\'' || c == '"') {
      const size_t end = text_.find(c, at_ + 1);
      if (end == std::string::npos) return Fail(offset, "text without its closing quote");
      at_ = end + 1;
      return Add({Op::kText, Type::kText, 0, text_.substr(offset + 1, end - offset - 1)});
    }
    if (absl::ascii_isdigit(c) || c == '.') {
      double number = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
      at_ = end - text_.data();
      if (error != std::errc() || (at_ < text_.size() && IsWordPart(text_[at_]))) return Fail(offset, "not a number");
      return Add({Op::kNumber, Type::kNumber, number});
    }
    if (!absl::ascii_isalpha(c)) return Fail(offset, absl::StrCat("unexpected ", Quoted(text_.substr(at_))));
    while (at_ < text_.size() && IsWordPart(text_[at_])) ++at_;
    const std::string word = text_.substr(offset, at_ - offset);
    if (word == "null") return Add({Op::kNull, Type::kNull, std::numeric_limits<double>::quiet_NaN()});
    for (const auto& [name, op] : kFunctions) {
      if (word == name) return Call(name, op);
    }
    return Field(word, offset);
  }
  int Call(const char* name, Op op) {
    if (!TakeSymbol("(")) return Fail(at_, absl::StrCat("expected \"(\" after ", name));
    const int left = Sum();
    if (left < 0) return -1;
    int right = left;
    if (op == Op::kMin || op == Op::kMax) {
      if (!TakeSymbol(",")) return Fail(at_, absl::StrCat(name, " takes two numbers, with \",\" between"));
      right = Sum();
    }
    const int call = Arithmetic(op, left, right);
    if (call >= 0 && !TakeSymbol(")")) return Fail(at_, "expected \")\"");
    return call;
  }
  int Field(const std::string& path, size_t offset) {
    Location place = start_;
    place.column += static_cast<int>(offset);
    const absl::StatusOr<FieldIndex> field = FindField(path, place);
    if (!field.ok()) {
      status_ = field.status();
      return -1;
    }
    switch (FieldAt(*field).type) {
      case FieldType::kInteger:
      case FieldType::kNumber:
        return Add({Op::kField, Type::kNumber, 0, "", *field});
      case FieldType::kOptionalNumber:
        return Add({Op::kField, Type::kOptionalNumber, 0, "", *field});
      case FieldType::kString:
        return Add({Op::kField, Type::kText, 0, "", *field});
      case FieldType::kBoolean:
        return Add({Op::kField, Type::kBool, 0, "", *field});
      case FieldType::kNumberList:
      case FieldType::kNameList:
        break;
    }
    return Fail(offset, absl::StrCat(path, " is a list, which conditions cannot use"));
  }

  static constexpr std::pair<const char*, Op> kFunctions[] = {{"round", Op::kRound}, {"floor", Op::kFloor},
                                                              {"ceil", Op::kCeil},   {"sqrt", Op::kSquareRoot},
                                                              {"min", Op::kMin},     {"max", Op::kMax}};

  bool IsNumber(int term) const { return TypeOf(term) == Type::kNumber || TypeOf(term) == Type::kOptionalNumber; }
  static const char* Name(Type type) {
    switch (type) {
      case Type::kNumber:
        return "a number";
      case Type::kOptionalNumber:
        return "an optional number";
      case Type::kText:
        return "text";
      case Type::kNull:
        return "null";
      case Type::kBool:
        return "a condition";
    }
    return "";
  }

  const std::string text_;
  Location start_;
  const absl::string_view what_;
  Expression expression_;
  absl::Status status_;
  size_t at_ = 0;
  int depth_ = 0;
};

namespace {

absl::Status CheckText(const Node& node, absl::string_view what, absl::string_view example) {
  constexpr size_t kLongest = 256;
  if (!node.IsScalar()) return ErrorAt(node.at, absl::StrCat("a ", what, " must be text, such as ", example));
  if (node.text.size() <= kLongest) return absl::OkStatus();
  return ErrorAt(node.at, absl::StrCat("a ", what, " of more than ", kLongest, " characters; split it"));
}

}  // namespace

absl::StatusOr<Expression> Expression::ParseCondition(const Node& node) {
  if (absl::Status status = CheckText(node, "condition", "\"train.seed == 1\""); !status.ok()) return status;
  return ExpressionParser(node, "condition").ParseCondition();
}

absl::StatusOr<Expression> Expression::ParseNumber(const Node& node) {
  if (absl::Status status = CheckText(node, "derived number", "\"2 * train.warmup_steps\""); !status.ok())
    return status;
  return ExpressionParser(node, "derived number").ParseNumber();
}

bool Expression::IsTrue(const Values& values) const { return Bool(static_cast<int>(terms_.size()) - 1, values); }

double Expression::Calculate(const Values& values) const { return Number(static_cast<int>(terms_.size()) - 1, values); }

double Expression::Number(int index, const Values& values) const {
  const Term& term = terms_[index];
  switch (term.op) {
    case Op::kField:
      // Null, or auto.
      return values[term.field].is_number() ? values[term.field].get<double>()
                                            : std::numeric_limits<double>::quiet_NaN();
    case Op::kNegate:
      return -Number(term.left, values);
    case Op::kAdd:
      return Number(term.left, values) + Number(term.right, values);
    case Op::kSubtract:
      return Number(term.left, values) - Number(term.right, values);
    case Op::kMultiply:
      return Number(term.left, values) * Number(term.right, values);
    case Op::kDivide:
      return Number(term.left, values) / Number(term.right, values);
    case Op::kRound:
      return std::round(Number(term.left, values));
    case Op::kFloor:
      return std::floor(Number(term.left, values));
    case Op::kCeil:
      return std::ceil(Number(term.left, values));
    case Op::kSquareRoot:
      return std::sqrt(Number(term.left, values));
    case Op::kMin:
      return std::min(Number(term.left, values), Number(term.right, values));
    case Op::kMax:
      return std::max(Number(term.left, values), Number(term.right, values));
    default:
      return term.number;
  }
}

const std::string& Expression::Text(int index, const Values& values) const {
  const Term& term = terms_[index];
  return term.op == Op::kField ? values[term.field].get_ref<const std::string&>() : term.text;
}

bool Expression::Bool(int index, const Values& values) const {
  const Term& term = terms_[index];
  if (term.op == Op::kField) return values[term.field].get<bool>();
  if (term.op == Op::kNot) return !Bool(term.left, values);
  if (term.op == Op::kAnd) return Bool(term.left, values) && Bool(term.right, values);
  if (term.op == Op::kOr) return Bool(term.left, values) || Bool(term.right, values);
  const Type left_type = terms_[term.left].type, right_type = terms_[term.right].type;
  if (left_type == Type::kText) {
    return (Text(term.left, values) == Text(term.right, values)) == (term.op == Op::kEqual);
  }
  const double a = Number(term.left, values), b = Number(term.right, values);
  if (left_type == Type::kNull || right_type == Type::kNull) {
    return (std::isnan(a) && std::isnan(b)) == (term.op == Op::kEqual);
  }
  if (std::isnan(a) || std::isnan(b)) return false;  // an absent number is neither equal nor unequal
  switch (term.op) {
    case Op::kEqual:
      return a == b;
    case Op::kNotEqual:
      return a != b;
    case Op::kLess:
      return a < b;
    case Op::kLessEqual:
      return a <= b;
    case Op::kGreater:
      return a > b;
    default:
      return a >= b;
  }
}

}  // namespace sink::sweeps
