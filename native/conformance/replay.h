/* Makes the call of a file that the service kept when a prover died in it. */
#ifndef LEAN_PROVER_REPLAY_H
#define LEAN_PROVER_REPLAY_H

/*
 * Prints what the file says and what the call returns. `config_path` NULL: the library is opened with
 * the configuration in the file. Returns 0 after an answer after which a prover process goes on, and 1
 * after one for which the service replaces the process, by its status, proof or verdicts. A file that
 * is no such call ends the program with status 2; a call that ends the process does so here too.
 */
int replay(const char *path, const char *library_path, const char *config_path);

#endif
