// For the programs that hold private keys. Called by main, before any other thread starts.
#pragma once

namespace sink::identity {

// From now on no other user may read what this process creates, and its memory goes into no core file and to no
// debugger of another process of this user. Programs that it starts are as open as any.
void ProtectProcess();

}  // namespace sink::identity
