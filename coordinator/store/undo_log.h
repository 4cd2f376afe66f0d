// Changes to maps that can be taken back: every change notes how to undo it, so that a transaction that fails leaves
// nothing behind. Owned by one transaction of the memory store; its thread alone.
#pragma once

#include <functional>
#include <vector>

namespace sink::store {

class UndoLog {
 public:
  // The last change first. The maps must still be there.
  void Undo() {
    for (auto undo = undo_.rbegin(); undo != undo_.rend(); ++undo) (*undo)();
  }

  // The row, made when absent; what it was comes back in Undo.
  template <typename Map>
  typename Map::mapped_type& Edit(Map& map, const typename Map::key_type& key) {
    const auto row = map.find(key);
    if (row == map.end()) {
      undo_.push_back([&map, key] { map.erase(key); });
      return map[key];
    }
    undo_.push_back([&map, key, old = row->second] { map[key] = old; });
    return row->second;
  }

  template <typename Map>
  void Erase(Map& map, const typename Map::key_type& key) {
    const auto row = map.find(key);
    if (row == map.end()) return;
    undo_.push_back([&map, key, old = row->second] { map[key] = old; });
    map.erase(row);
  }

  template <typename Map, typename Wanted>
  void EraseWhere(Map& map, Wanted wanted) {
    std::vector<typename Map::key_type> keys;
    for (const auto& row : map) {
      if (wanted(row)) keys.push_back(row.first);
    }
    for (const auto& key : keys) Erase(map, key);
  }

 private:
  std::vector<std::function<void()>> undo_;
};

}  // namespace sink::store
