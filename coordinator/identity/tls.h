// What gRPC needs to know of credentials: both sides of a call show a certificate and refuse a peer without one of the
// same authority, before anything of a call is read. Any thread.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "coordinator/identity/credential.h"

namespace sink::identity {

// The server's, from its folder, which is looked at again every second: a new certificate needs no restart.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(const std::string& folder);

// A client's, from its folder, likewise; and one that is in memory.
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const std::string& folder);
std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const Credential& credential);

// What gRPC has to say is for its developers, and goes to our log at its level debug; what a user needs to know is in
// our own messages. For all of the program.
void SendGrpcLogToDebug();

// Tells a channel by what name the server's certificate goes, whatever address leads there.
void SetServerName(grpc::ChannelArguments& arguments);

}  // namespace sink::identity
