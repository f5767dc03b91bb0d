#include "library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace lean_aggregator {

namespace {

Outcome unavailable(std::string message) { return {LP_UNAVAILABLE, std::move(message)}; }

/* For a library that cannot be used, however often it is opened. */
Outcome unusable(std::string message) { return {LP_UNSUPPORTED, std::move(message)}; }

/* What a call reports, and the Outcome that it becomes. */
class Fault {
 public:
  Fault() { fault_.size = sizeof fault_; }
  lp_fault *get() { return &fault_; }

  Outcome outcome(lp_status status) {
    if (status == LP_OK) return {};
    fault_.text[sizeof fault_.text - 1] = '\0';
    if (fault_.text[0] == '\0') {
      return {status, "the backend returned status " + std::to_string(status) + " without a text"};
    }
    return {status, place() + fault_.text};
  }

 private:
  /* "raws[1] key 7: ", or nothing where the library names no input. */
  std::string place() const {
    const std::string index = "[" + std::to_string(fault_.index) + "]";
    switch (fault_.at) {
      case LP_AT_RAWS:
        return "raws" + index + " key " + std::to_string(fault_.within) + ": ";
      case LP_AT_CHILD:
        return "children" + index + ": ";
      case LP_AT_WANTED:
        return "wanted" + index + ": ";
      default:
        return "";
    }
  }

  lp_fault fault_{};
};

/* Writes a line of the library's log to standard error: a mark, the level's digit, the text. One
 * write, so that lines of several threads do not mix, and the last one before a crash is there. */
void log_line(void *, int level, const char *line) {
  constexpr char MARK = 0x1e;
  if (line == nullptr) return;
  const size_t length = strnlen(line, LP_TEXT_BYTES);
  std::string text{MARK, static_cast<char>('0' + (level >= 0 && level <= 2 ? level : 2))};
  text.append(line, length);
  std::replace(text.begin() + 2, text.end(), '\n', ' ');
  std::replace(text.begin() + 2, text.end(), MARK, ' ');
  text += '\n';
  // A line that cannot be written is lost: there is nobody to tell.
  if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace

Outcome Library::open(const std::string &path, const OpenOptions &options,
                      std::shared_ptr<Library> &library) {
  // The library is never unloaded: a backend may leave threads behind, as py-lean-pq does.
  void *loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    const char *why = dlerror();
    return unavailable("cannot load " + path + ": " + (why == nullptr ? "unknown error" : why));
  }
  const auto offer =
      reinterpret_cast<decltype(&lean_prover_api)>(dlsym(loaded, "lean_prover_api"));
  const std::string needed = std::to_string(LEAN_PROVER_API);
  if (offer == nullptr) {
    return unusable(path + " does not export lean_prover_api of lean_prover.h, version " + needed);
  }
  std::shared_ptr<Library> opening(new Library);
  const lp_api *api = opening->api_ = offer(LEAN_PROVER_API);
  if (api == nullptr) return unusable(path + " does not offer version " + needed + " of the ABI");
  if (api->version != LEAN_PROVER_API || api->size < sizeof *api) {
    return unusable(path + " offers version " + std::to_string(api->version) + " with " +
                    std::to_string(api->size) + " bytes, the service needs version " + needed +
                    " with " + std::to_string(sizeof *api));
  }
  if (api->open == nullptr || api->describe == nullptr || api->verify_signatures == nullptr ||
      api->verify == nullptr || api->prove == nullptr || api->free_buffer == nullptr ||
      api->close == nullptr) {
    return unusable(path + " lacks a function of lp_api");
  }
  lp_options given{};
  given.size = sizeof given;
  given.config = options.config.c_str();
  given.cache_folder = options.cache_folder.empty() ? nullptr : options.cache_folder.c_str();
  given.threads = options.threads;
  given.log = log_line;
  Fault fault;
  const Outcome opened = fault.outcome(api->open(&given, &opening->handle_, fault.get()));
  if (opened.status != LP_OK) {
    opening->handle_ = nullptr;  // a failed open leaves nothing to close
    return unavailable(path + ": open failed: " + opened.message);
  }
  if (opening->handle_ == nullptr) {
    return unavailable(path + ": open returned OK without a handle");
  }
  const Outcome described = opening->describe(path);
  if (described.status == LP_OK) library = std::move(opening);
  return described;
}

Outcome Library::describe(const std::string &path) {
  about_.size = sizeof about_;
  if (api_->describe(handle_, &about_) != LP_OK) return unavailable(path + ": describe failed");
  if (about_.public_key_bytes == 0 || about_.signature_bytes == 0 || about_.proof_bytes_max == 0 ||
      about_.backend == nullptr || about_.scheme == nullptr || about_.revision == nullptr) {
    return unusable(path + ": its lp_about lacks a name or a size");
  }
  return {};
}

Library::~Library() {
  if (handle_ != nullptr) api_->close(handle_);
}

lp_claim Library::view(const Claim &claim) const {
  lp_claim made{};
  std::copy_n(claim.root.begin(), std::min<size_t>(claim.root.size(), LP_ROOT_BYTES), made.root);
  made.slot = claim.slot;
  made.keys = {claim.keys.data(), claim.keys.size() / about_.public_key_bytes};
  return made;
}

lp_raws Library::view(const Raws &raws) const { return {view(raws.of), raws.signatures.data()}; }

std::vector<lp_claim> Library::view(const std::vector<Claim> &claims) const {
  std::vector<lp_claim> viewed;
  for (const Claim &claim : claims) viewed.push_back(view(claim));
  return viewed;
}

Outcome Library::verify_signatures(const Raws &raws, std::vector<uint8_t> &verdicts) const {
  const lp_raws viewed = view(raws);
  // A verdict that the backend does not write must not mean that the signature is verified.
  verdicts.assign(viewed.of.keys.count, UINT8_MAX);
  Fault fault;
  return fault.outcome(api_->verify_signatures(handle_, &viewed, verdicts.data(), fault.get()));
}

Outcome Library::verify(const Proof &proof) const {
  const std::vector<lp_claim> claims = view(proof.claims);
  const lp_proof viewed{proof.kind,
                        proof.bytes.data(),
                        proof.bytes.size(),
                        {claims.data(), claims.size()}};
  Fault fault;
  return fault.outcome(api_->verify(handle_, &viewed, fault.get()));
}

Outcome Library::prove(const Job &job, std::vector<uint8_t> &proof) const {
  std::vector<lp_raws> raws;
  for (const Raws &each : job.raws) raws.push_back(view(each));
  std::vector<std::vector<lp_claim>> claims;
  for (const Proof &child : job.children) claims.push_back(view(child.claims));
  std::vector<lp_proof> children;
  for (size_t at = 0; at < job.children.size(); at++) {
    const Proof &child = job.children[at];
    children.push_back({child.kind,
                        child.bytes.data(),
                        child.bytes.size(),
                        {claims[at].data(), claims[at].size()}});
  }
  const std::vector<lp_claim> wanted = view(job.wanted);
  lp_job viewed{};
  viewed.size = sizeof viewed;
  viewed.kind = job.kind;
  viewed.log_inv_rate = job.log_inv_rate;
  viewed.raws = raws.data();
  viewed.raws_count = raws.size();
  viewed.children = children.data();
  viewed.children_count = children.size();
  viewed.wanted = {wanted.data(), wanted.size()};
  lp_buffer made{nullptr, 0};
  Fault fault;
  const Outcome outcome = fault.outcome(api_->prove(handle_, &viewed, &made, fault.get()));
  if (outcome.status != LP_OK) return outcome;
  if (made.bytes == nullptr || made.length == 0) {
    return {LP_INTERNAL, "the backend returned OK without a proof"};
  }
  const auto release = [this](lp_buffer *buffer) { api_->free_buffer(handle_, buffer); };
  const std::unique_ptr<lp_buffer, decltype(release)> owner(&made, release);
  proof.assign(made.bytes, made.bytes + made.length);
  return outcome;
}

}  // namespace lean_aggregator
