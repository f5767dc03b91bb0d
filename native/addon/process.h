/* What the prover's process needs of the system and Node does not offer. JavaScript thread only. */
#ifndef LEAN_AGGREGATOR_PROCESS_H
#define LEAN_AGGREGATOR_PROCESS_H

#include <napi.h>

namespace lean_aggregator {

/* Linux: this process gets SIGKILL when its parent dies. */
void die_with_parent(const Napi::CallbackInfo &info);

/* (path) -> descriptor that holds an exclusive lock, or -1 when another process holds it. */
Napi::Value lock_file(const Napi::CallbackInfo &info);

/* (cores) Linux: pins every thread of this process; an empty list changes nothing. */
void set_affinity(const Napi::CallbackInfo &info);

}  // namespace lean_aggregator

#endif
