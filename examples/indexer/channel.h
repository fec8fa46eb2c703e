// Channel: what two stages of the pipeline hand things over through.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace indexer {

/// A bounded queue that knows how many producers it has.
///
/// Its end is counted: each producer calls close() once, and the channel has ended when all have *and* it is
/// empty. There is no "last" message that somebody has to send, and so nobody who could send it too early,
/// twice or never.
///
/// Thread safety: any number of threads may call anything. It must outlive them.
template <class T>
class Channel {
 public:
  Channel(std::size_t capacity, std::size_t producers) : capacity_(capacity), open_(producers) {
    if (capacity == 0 || producers == 0) throw std::logic_error("a channel needs room and a producer");
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// Waits for room, which a receiver makes, and puts the item in. False, with the item left as it was, when
  /// the channel has been stopped.
  bool send(T&& item) {
    {
      std::unique_lock lock(mutex_);
      room_.wait(lock, [&] { return items_.size() < capacity_ || stopped_; });
      if (stopped_) return false;
      if (open_ == 0) throw std::logic_error("send() on a channel whose producers have all closed it");
      items_.push_back(std::move(item));
    }
    news_.notify_one();
    return true;
  }

  /// One producer is done; each says so once.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      if (open_ == 0) throw std::logic_error("close() more often than there are producers");
      --open_;
      if (open_ > 0) return;
    }
    news_.notify_all();  // whoever waits may be waiting for the end
  }

  /// Waits for an item, in the order of sending. Nothing when the channel has ended, and then always nothing.
  std::optional<T> receive() {
    std::optional<T> item;
    {
      std::unique_lock lock(mutex_);
      news_.wait(lock, [&] { return !items_.empty() || open_ == 0; });
      if (items_.empty()) return item;
      item.emplace(std::move(items_.front()));
      items_.pop_front();
    }
    room_.notify_one();
    return item;
  }

  /// Takes out what nobody has received, and lets every send() from now on fail. Receivers still wait for the
  /// producers to close.
  std::vector<T> stop() {
    std::vector<T> left;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      left.assign(std::make_move_iterator(items_.begin()), std::make_move_iterator(items_.end()));
      items_.clear();
    }
    room_.notify_all();
    return left;
  }

  [[nodiscard]] bool ended() const {
    const std::lock_guard lock(mutex_);
    return open_ == 0 && items_.empty();
  }

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable room_;  // there is room, or it was stopped
  std::condition_variable news_;  // there is an item, or there will be none
  std::deque<T> items_;           // guarded by mutex_, as all below
  std::size_t open_;              // producers that have not closed
  bool stopped_ = false;
};

/// Closes a channel for one producer at the end of a scope, however that ends.
template <class T>
class Producer {
 public:
  explicit Producer(Channel<T>& channel) : channel_(channel) {}
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer() { channel_.close(); }

  bool send(T&& item) { return channel_.send(std::move(item)); }

 private:
  Channel<T>& channel_;
};

}  // namespace indexer
