// What both HTTP servers of the coordinator, /metrics and the page, need of the library underneath. Stateless; any
// thread.
#pragma once

#include <string>

struct mg_connection;
struct mg_context;

namespace sink {

// Of the request; empty when it has none of that name.
std::string HttpHeader(const mg_connection* connection, const char* name);

// Stops the server that listens on `port` of this machine and waits for its threads. The library notices that it must
// stop only when its wait for a connection ends: after 2 s, or with one, which this opens.
void StopHttp(mg_context* server, int port);

}  // namespace sink
