#include "process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#ifdef __linux__
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "arguments.h"

namespace lean_aggregator {

namespace {

Napi::Error system_error(Napi::Env env, const std::string &what, int code) {
  return Napi::Error::New(env, what + ": " + std::strerror(code));
}

#ifdef __linux__
/* sched_setaffinity takes one thread; Node has started several before this runs. */
void pin_every_thread(Napi::Env env, const cpu_set_t &cores) {
  const std::unique_ptr<DIR, int (*)(DIR *)> tasks(opendir("/proc/self/task"), closedir);
  if (tasks == nullptr) throw system_error(env, "cannot list this process's threads", errno);
  while (const dirent *task = readdir(tasks.get())) {
    const int thread = std::atoi(task->d_name);
    if (thread == 0) continue;  // "." and ".."
    // ESRCH: the thread has ended since it was listed.
    if (sched_setaffinity(thread, sizeof cores, &cores) != 0 && errno != ESRCH) {
      throw system_error(env, "cannot pin to the cores", errno);
    }
  }
}
#endif

}  // namespace

void die_with_parent(const Napi::CallbackInfo &info) {
#ifdef __linux__
  const pid_t parent = getppid();
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    throw system_error(info.Env(), "cannot ask for a signal on the parent's death", errno);
  }
  // The parent may have died between the two calls, and then no signal comes.
  if (getppid() != parent) raise(SIGKILL);
#else
  static_cast<void>(info);
#endif
}

Napi::Value lock_file(const Napi::CallbackInfo &info) {
  const std::string path = read_string(info[0], "path");
  // Provers inherit the descriptor because the service passes it on; no other child gets it.
  const int descriptor = open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) throw system_error(info.Env(), "cannot open " + path, errno);
  int locked;
  do {
    locked = flock(descriptor, LOCK_EX | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (locked != 0) {
    const int code = errno;
    close(descriptor);
    if (code != EWOULDBLOCK) throw system_error(info.Env(), "cannot lock " + path, code);
    return Napi::Number::New(info.Env(), -1);
  }
  return Napi::Number::New(info.Env(), descriptor);
}

void set_affinity(const Napi::CallbackInfo &info) {
  const std::vector<uint32_t> cores = read_u32_list(info[0], "cores");
#ifdef __linux__
  if (cores.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const uint32_t core : cores) {
    if (core >= CPU_SETSIZE) {
      throw Napi::TypeError::New(info.Env(), "cores must be below " + std::to_string(CPU_SETSIZE));
    }
    CPU_SET(core, &set);
  }
  pin_every_thread(info.Env(), set);
#endif
}

}  // namespace lean_aggregator
