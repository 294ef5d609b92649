/* Tar archives as kubectl cp exchanges them: ustar with pax headers where a name is too long; read also with GNU's long
 * names. No I/O of their own: bytes go to and come from functions. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum { KC_TAR_BLOCK = 512 };

enum kc_tar_type { KC_TAR_FILE, KC_TAR_DIR, KC_TAR_SYMLINK, KC_TAR_OTHER };

struct kc_tar_entry {
        char *name, *link; /* link: of symlinks, else NULL */
        enum kc_tar_type type;
        unsigned mode, uid, gid;
        int64_t size, mtime; /* seconds */
};
void kc_tar_entry_done(struct kc_tar_entry *e);

/* Appends the header blocks of an entry; a file's size bytes have to follow, and kc_tar_padding of them. */
void kc_tar_add_header(struct kc_buf *out, const struct kc_tar_entry *e);
/* Zero bytes up to the end of a block after size bytes. */
size_t kc_tar_padding(int64_t size);
/* The end of an archive. */
void kc_tar_add_end(struct kc_buf *out);

/* Reads exactly len bytes, or less at the end of the input: how many. Negative: -errno. */
typedef int64_t (*kc_tar_read_fn)(char *buf, size_t len, void *arg);
/* The next entry's header: 1; 0: the archive has ended (also where the input ends between two entries, as Go's reader
 * takes it). -EILSEQ: it is no archive. The caller reads or skips the content and its padding before the next call. */
int kc_tar_next(kc_tar_read_fn read, void *arg, struct kc_tar_entry *ret, struct kc_error *err);
