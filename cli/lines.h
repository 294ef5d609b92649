/* A streaming answer of the server, read from the main thread: watch events, logs. */
#pragma once

#include "cli/cli.h"

struct kc_lines;

/* Several streams may feed one reader (logs of many pods). */
struct kc_lines *kc_lines_new(struct kc_rest *r);
/* Ends the streams under way. */
void kc_lines_free(struct kc_lines *l);
KC_DEFINE_CLEANUP(struct kc_lines *, kc_lines_free)
/* Starts a stream; tag comes back with each of its lines. */
int kc_lines_open(struct kc_lines *l, const char *path, const char *accept, const char *tag, struct kc_error *err);
/* Blocks for the next line, without its newline; 1: a line, 0: all streams have ended well, negative: one has failed.
 * deadline: of kc_clock_mono, -ETIME; 0: none. *ret_len bytes, valid until the next call; a last line without a
 * newline has *ret_newline false. */
int kc_lines_next(struct kc_lines *l, kc_mono deadline, const char **ret_line, size_t *ret_len, bool *ret_newline,
    const char **ret_tag, struct kc_error *err);
