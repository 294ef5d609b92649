/* The chunked coding of bodies. No I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Decodes strictly: every CR, LF and digit has to be where RFC 9112 wants it. All zero but max_overhead at the start.
 */
struct http_chunked {
        int state;
        int digits;
        uint64_t left;
        size_t overhead; /* bytes of extensions and trailers */
        size_t max_overhead;
};
/* Takes one step in data. Returns bytes consumed, or -EINVAL. A piece of body may come in ret_piece; done: the last
 * chunk and the trailers are over. */
ssize_t http_chunked_step(struct http_chunked *k, const char *data, size_t len, const char **ret_piece,
    size_t *ret_piece_len, bool *ret_done);
