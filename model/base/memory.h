// How a data program treats memory that it has freed. Belongs to the start of a program's work; any thread.
#pragma once

namespace sink {

// Tensors of one size come and go with every step and layer. From here on the heap keeps freed memory for the next;
// given back, the system would clear the same pages again and again.
void KeepFreedMemory();

}  // namespace sink
