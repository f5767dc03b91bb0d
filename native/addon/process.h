/* System calls that the service or a prover needs and Node does not offer. JavaScript thread only. */
#ifndef LEAN_AGGREGATOR_PROCESS_H
#define LEAN_AGGREGATOR_PROCESS_H

#include <napi.h>

namespace lean_aggregator {

/* Linux: the kernel sends SIGKILL to this process when its parent dies. */
void die_with_parent(const Napi::CallbackInfo &info);

/* (path) -> descriptor of an exclusive lock; -1 when another process holds the lock. */
Napi::Value lock_file(const Napi::CallbackInfo &info);

/* (resource, most): lowers both limits of this process on "core", "files" or "fileBytes". */
void limit_resource(const Napi::CallbackInfo &info);

/* Linux: programs executed from now on inherit only the standard descriptors and those passed to
 * them. On other systems Node ensures that. */
void hide_descriptors(const Napi::CallbackInfo &info);

/* Linux: this thread, and any thread or process that it starts from now on, gains no privileges by
 * executing a file. */
void forbid_new_privileges(const Napi::CallbackInfo &info);

/* Linux: no core dump, and only root can inspect or trace this process. */
void forbid_inspection(const Napi::CallbackInfo &info);

/* (path, text): sends one datagram to a Unix socket; never waits. */
void send_datagram(const Napi::CallbackInfo &info);

/* Linux, (cores): pins every thread of this process; an empty list changes nothing. */
void set_affinity(const Napi::CallbackInfo &info);

}  // namespace lean_aggregator

#endif
