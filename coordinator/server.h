// The coordinator as one object: opens the data folder, puts store, core, services and exporter together and serves
// them. Owned by main or by a test. Start, Shutdown and the destructor belong to one thread; the rest may be called
// from any.
//
// The data folder: sink.db (SQLite, with its -wal and -shm), lock (held while a coordinator runs), checkpoints/, which
// may be on a disk of its own (store/checkpoint_folder.h), and
// coordinator.addr, metrics.addr and page.addr, which name the addresses of the coordinator that runs or ran last;
// tls/, its authority and the admin's credential (coordinator/identity/authority.h). With salvage-begun in it none
// starts (store/begun_salvage.h).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/quotas.h"
#include "coordinator/core/rates.h"
#include "coordinator/identity/authority.h"

namespace sink {

struct ServerOptions {
  std::string data;                       // created when absent
  std::string listen = "127.0.0.1:7070";  // port 0: the kernel chooses
  // host:port at which other machines reach it, for the tokens that are made for them. Empty: as it listens, unless
  // that is on loopback or everywhere; then as whoever asks for the token does.
  std::string advertise;
  std::string metrics_listen = "127.0.0.1:7071";  // Prometheus scrapes http://HOST:PORT/metrics
  std::string metrics_token_file;  // its first line is the password for that; needed where other machines reach it
  // Folder of this user's configuration, where sinkctl and workers look for the admin's credential by the address: a
  // link to it is left there. Empty: none.
  std::string config;
  identity::Lifetimes lifetimes;  // of certificates
  // host:port on loopback of the page for browsers (coordinator/web); "next": on 127.0.0.1 at the port after that of
  // `metrics_listen`, and no page where that is in use. Empty: none.
  std::string page_listen;
  absl::Duration heartbeat_interval = absl::Seconds(5);
  absl::Duration lease_duration = absl::Seconds(60);
  int checkpoints_kept = 2;                       // of one job
  std::string keep_points;                        // "30d" or "30d,best=10": see retention_option.h; empty: all for good
  absl::Duration retry_delay = absl::Seconds(1);  // before the second attempt after an infra failure
  absl::Duration tick_interval = absl::Seconds(1);  // how often leases are checked
  uint64_t disk_reserve = 64 << 20;                 // bytes of the disk that are left to the database
  uint64_t checkpoint_bytes_per_job = std::numeric_limits<uint64_t>::max();  // what is on its way included
  absl::Duration scrub_interval = absl::Hours(24);                           // how often every checkpoint is read again
  int max_threads = 512;  // that serve calls; service/stream_gate.h shares them out
  // What one address may have open, and one user in the queue; and how often users may ask for what is expensive.
  int connections = 0;  // of all addresses; 0: as many as the limit of open files leaves room for
  int connections_per_address = 1024;
  absl::Duration handshake_timeout = absl::Seconds(10);
  Quota quota;
  RateOptions rates;
  // How long the other side of a stream may keep one of them waiting.
  absl::Duration first_message = absl::Seconds(5);
  absl::Duration next_message = absl::Seconds(60);
};

class Server {
 public:
  // Serves when it returns. Errors, each one line that names the thing and the fix: INVALID_ARGUMENT options;
  // FAILED_PRECONDITION another coordinator uses the folder, or its database is of a newer version; DATA_LOSS a
  // database or its log is damaged; UNAVAILABLE a port is in use; others from the file system.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);
  ~Server();  // shuts down

  // Waits until `asked_to_stop` returns true (asked every 100 ms): OK, or until the store has failed for good: its
  // error.
  absl::Status Wait(const std::function<bool()>& asked_to_stop);

  // Ends streams, gives calls in progress 5 seconds, closes the store. Repeatable.
  void Shutdown();

  int port() const;
  std::string address() const;  // host:port, with the real port
  std::string metrics_address() const;
  std::string page_address() const;  // likewise; empty: there is no page

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace sink
