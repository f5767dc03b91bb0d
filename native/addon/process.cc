#include "process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef __linux__
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#endif

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "arguments.h"

namespace lean_aggregator {

namespace {

Napi::Error system_error(Napi::Env env, const std::string &what, int code) {
  return Napi::Error::New(env, what + ": " + std::strerror(code));
}

#ifdef __linux__
/* sched_setaffinity pins one thread, and Node has started several by now. */
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

/* Opens the lock file of a device, and makes it where it is missing; -1 with errno on failure. Never
   follows a link and never waits for the other end of a pipe: others may write to the folder. */
int open_lock_file(const char *path) {
  // O_CLOEXEC: only children to which the service passes the descriptor inherit it.
  const int common = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  // Without O_CREAT first: with it, Linux refuses another user's file in a folder such as /tmp.
  int descriptor = open(path, O_RDWR | common);
  if (descriptor < 0 && errno == ENOENT) descriptor = open(path, O_CREAT | O_RDWR | common, 0600);
  if (descriptor >= 0 || (errno != EACCES && errno != EROFS)) return descriptor;
  // A lock needs no right to write.
  const int code = errno;
  descriptor = open(path, O_RDONLY | common);
  if (descriptor < 0) errno = code;
  return descriptor;
}

}  // namespace

void die_with_parent(const Napi::CallbackInfo &info) {
#ifdef __linux__
  const pid_t parent = getppid();
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
    throw system_error(info.Env(), "cannot ask for a signal on the parent's death", errno);
  }
  // When the parent has died between the two calls, no signal comes.
  if (getppid() != parent) raise(SIGKILL);
#else
  static_cast<void>(info);
#endif
}

Napi::Value lock_file(const Napi::CallbackInfo &info) {
  const std::string path = read_string(info[0], "path");
  const int descriptor = open_lock_file(path.c_str());
  if (descriptor < 0) throw system_error(info.Env(), "cannot open " + path, errno);
  struct stat file;
  if (fstat(descriptor, &file) != 0 || !S_ISREG(file.st_mode)) {
    close(descriptor);
    throw Napi::Error::New(info.Env(), path + " is not a regular file");
  }
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

void limit_resource(const Napi::CallbackInfo &info) {
  static const std::map<std::string, int> resources = {
      {"core", RLIMIT_CORE}, {"files", RLIMIT_NOFILE}, {"fileBytes", RLIMIT_FSIZE}};
  const std::string name = read_string(info[0], "resource");
  const auto resource = resources.find(name);
  if (resource == resources.end()) {
    throw Napi::TypeError::New(info.Env(), "resource must be core, files or fileBytes");
  }
  const rlim_t most = read_u32(info[1], "most");
  struct rlimit limit;
  if (getrlimit(resource->second, &limit) != 0) {
    throw system_error(info.Env(), "cannot read the limit of " + name, errno);
  }
  // A lower limit stays: raising it would need privileges anyway.
  if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > most) limit.rlim_max = most;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(resource->second, &limit) != 0) {
    throw system_error(info.Env(), "cannot limit " + name, errno);
  }
}

void hide_descriptors(const Napi::CallbackInfo &info) {
#ifdef __linux__
  const std::unique_ptr<DIR, int (*)(DIR *)> open(opendir("/proc/self/fd"), closedir);
  if (open == nullptr) throw system_error(info.Env(), "cannot list open descriptors", errno);
  while (const dirent *entry = readdir(open.get())) {
    const int descriptor = std::atoi(entry->d_name);  // 0 for "." and ".." too
    if (descriptor > STDERR_FILENO && fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) {
      throw system_error(info.Env(), "cannot hide a descriptor", errno);
    }
  }
#else
  static_cast<void>(info);
#endif
}

void forbid_new_privileges(const Napi::CallbackInfo &info) {
#ifdef __linux__
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    throw system_error(info.Env(), "cannot forbid new privileges", errno);
  }
#else
  static_cast<void>(info);
#endif
}

void forbid_inspection(const Napi::CallbackInfo &info) {
#ifdef __linux__
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    throw system_error(info.Env(), "cannot forbid inspection", errno);
  }
#else
  static_cast<void>(info);
#endif
}

void send_datagram(const Napi::CallbackInfo &info) {
  const std::string path = read_string(info[0], "path");
  const std::string text = read_string(info[1], "text");
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw Napi::TypeError::New(info.Env(), "path must have 1 to " +
                                               std::to_string(sizeof address.sun_path - 1) + " bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  // Linux: an abstract name, which has no file, is written with @ and begins with a zero.
  if (path[0] == '@') address.sun_path[0] = 0;
  const int descriptor = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (descriptor < 0) throw system_error(info.Env(), "cannot open a socket", errno);
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  fcntl(descriptor, F_SETFL, O_NONBLOCK);
  const auto length = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size());
  const ssize_t sent = sendto(descriptor, text.data(), text.size(), 0,
                              reinterpret_cast<const struct sockaddr *>(&address), length);
  const int code = errno;
  close(descriptor);
  if (sent < 0) throw system_error(info.Env(), "cannot send to " + path, code);
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
