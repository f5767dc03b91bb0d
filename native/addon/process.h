/* What the prover's process needs of the system and Node does not offer. JavaScript thread only. */
#ifndef LEAN_AGGREGATOR_PROCESS_H
#define LEAN_AGGREGATOR_PROCESS_H

#include <napi.h>

namespace lean_aggregator {

/* Linux: this process gets SIGKILL when its parent dies. */
void die_with_parent(const Napi::CallbackInfo &info);

/* (path) -> descriptor that holds an exclusive lock, or -1 when another process holds it. */
Napi::Value lock_file(const Napi::CallbackInfo &info);

/* (resource, most) Soft and hard limit of this process: "core", "files" or "fileBytes". */
void limit_resource(const Napi::CallbackInfo &info);

/* Linux: what this process executes from now on inherits the standard descriptors only, and those
 * that it is given. Elsewhere Node sees to that. */
void hide_descriptors(const Napi::CallbackInfo &info);

/* Linux: neither this thread nor what it starts from now on gains privileges by executing a file. */
void forbid_new_privileges(const Napi::CallbackInfo &info);

/* Linux: no core dump, and nobody but root may look into this process or trace it. */
void forbid_inspection(const Napi::CallbackInfo &info);

/* (cores) Linux: pins every thread of this process; an empty list changes nothing. */
void set_affinity(const Napi::CallbackInfo &info);

}  // namespace lean_aggregator

#endif
