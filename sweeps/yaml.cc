#include "sweeps/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sink::sweeps {
namespace {

// Bytes of the UTF-8 sequence that starts at text[i]; 0 when it is not valid (RFC 3629: no overlong forms, no
// surrogates).
size_t Utf8Length(const std::string& text, size_t i) {
  const auto byte = [&](size_t k) { return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u; };
  const auto continues = [&](size_t k) { return (byte(k) & 0xC0) == 0x80; };
  const unsigned lead = byte(i), second = byte(i + 1);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(i + 1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool bad = (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F);
    return !bad && continues(i + 1) && continues(i + 2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool bad = (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
    return !bad && continues(i + 1) && continues(i + 2) && continues(i + 3) ? 4 : 0;
  }
  return 0;
}

absl::Status CheckText(const std::string& file, const std::string& text) {
  if (text.size() > kMaxFileBytes) {
    return ErrorAt({file}, absl::StrCat("the file has ", text.size(), " bytes; at most ", kMaxFileBytes, " (256 KiB)"));
  }
  Location place{file, 1, 1};
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8Length(text, i);
    if (length == 0) return ErrorAt(place, "not valid UTF-8; save the file as UTF-8");
    const unsigned char c = text[i];
    if (c == '\t') return ErrorAt(place, "a tab; indent and separate with spaces");
    if ((c < 0x20 && c != '\n' && c != '\r') || c == 0x7F) return ErrorAt(place, "a control character; remove it");
    if (c == '\n')
      place = {file, place.line + 1, 1};
    else
      ++place.column;
    i += length;
  }
  return absl::OkStatus();
}

// Builds the tree. yaml-cpp cannot be told to stop without an exception, so after the first error every event is
// ignored; the text is small, and an event never costs more than its own bytes.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& file) : file_(file) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) Fail(mark, "a second document; a file holds one");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (Accept(mark, "", anchor)) Add(At(mark, Node::Kind::kNull));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "an alias; anchors and aliases are not allowed: write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (!Accept(mark, tag, anchor)) return;
    Node node = At(mark, Node::Kind::kScalar);
    node.text = value;
    node.plain = tag == "?";
    Add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (Accept(mark, tag, anchor)) Open(At(mark, Node::Kind::kList));
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (Accept(mark, tag, anchor)) Open(At(mark, Node::Kind::kMap));
  }
  void OnMapEnd() override { Close(); }

  const absl::Status& status() const { return status_; }
  Node TakeRoot() { return std::move(root_); }

 private:
  struct Frame {
    Node node;
    bool has_key = false;  // in a map: the next value belongs to `key`
    std::string key;
    Location key_at;
    std::set<std::string> seen;
  };

  Location Place(const YAML::Mark& mark) const { return {file_, mark.line + 1, mark.column + 1}; }
  Node At(const YAML::Mark& mark, Node::Kind kind) const {
    Node node;
    node.kind = kind;
    node.at = Place(mark);
    return node;
  }
  void Fail(const YAML::Mark& mark, absl::string_view message) {
    if (status_.ok()) status_ = ErrorAt(Place(mark), message);
  }
  bool Accept(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (!status_.ok()) return false;
    if (anchor != 0)
      Fail(mark, "an anchor; anchors and aliases are not allowed: write the value out");
    else if (!tag.empty() && tag != "?" && tag != "!")
      Fail(mark, "a tag; tags are not allowed: remove it");
    else if (++nodes_ > kMaxNodes)
      Fail(mark, absl::StrCat("more than ", kMaxNodes, " values in one file"));
    else if (stack_.size() >= kMaxDepth)
      Fail(mark, absl::StrCat("nested deeper than ", kMaxDepth, " levels"));
    return status_.ok();
  }
  bool WantsKey() const { return !stack_.empty() && stack_.back().node.IsMap() && !stack_.back().has_key; }
  void TakeKey(Node node) {
    Frame& map = stack_.back();
    if (!node.IsScalar()) {
      status_ = ErrorAt(node.at, absl::StrCat("a key must be a word, not ", KindName(node)));
    } else if (!map.seen.insert(node.text).second) {
      status_ = ErrorAt(node.at, absl::StrCat("duplicate key ", Quoted(node.text), "; remove one of them"));
    }
    map.has_key = true;
    map.key = std::move(node.text);
    map.key_at = node.at;
  }
  void Add(Node node) {
    if (WantsKey()) return TakeKey(std::move(node));
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& parent = stack_.back();
    if (parent.node.IsMap()) {
      node.key = std::move(parent.key);
      node.key_at = parent.key_at;
      if (node.IsNull()) node.at = parent.key_at;  // nothing has no place of its own
      parent.has_key = false;
    }
    parent.node.items.push_back(std::move(node));
  }
  void Open(Node node) {
    if (WantsKey()) return TakeKey(std::move(node));
    Frame frame;
    frame.node = std::move(node);
    stack_.push_back(std::move(frame));
  }
  void Close() {
    if (!status_.ok()) return;
    Node node = std::move(stack_.back().node);
    stack_.pop_back();
    Add(std::move(node));
  }

  const std::string file_;
  absl::Status status_;
  std::vector<Frame> stack_;
  Node root_;
  int nodes_ = 0;
  int documents_ = 0;
};

}  // namespace

absl::StatusOr<Node> ReadYaml(const std::string& file, const std::string& text) {
  if (absl::Status status = CheckText(file, text); !status.ok()) return status;
  TreeBuilder builder(file);
  absl::Status syntax;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder) && builder.status().ok()) {
    }
  } catch (const YAML::Exception& error) {
    const Location place =
        error.mark.is_null() ? Location{file} : Location{file, error.mark.line + 1, error.mark.column + 1};
    syntax = ErrorAt(place, absl::StrCat("not YAML: ", error.msg));
  } catch (const std::exception& error) {
    syntax = ErrorAt({file}, absl::StrCat("not YAML: ", error.what()));
  }
  if (!builder.status().ok()) return builder.status();
  if (!syntax.ok()) return syntax;
  return builder.TakeRoot();
}

const char* KindName(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kScalar:
      return "a single value";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
  }
  return "";
}

}  // namespace sink::sweeps
