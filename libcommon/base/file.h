/* Files. Paths in messages; err carries errno. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* Appends the whole file; -EFBIG when it is larger than max. */
int kc_file_read(const char *path, size_t max, struct kc_buf *ret, struct kc_error *err);
/* Temporary file in the same directory, fsync, rename: readers see the old or the new content, never a part. */
int kc_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode, struct kc_error *err);
int kc_mkdir_p(const char *path, mode_t mode, struct kc_error *err);
/* Removes a tree without following links or crossing mounts; absent is success. */
int kc_rm_rf(const char *path, struct kc_error *err);
bool kc_path_exists(const char *path);
/* "a" + "b" -> "a/b" (exactly one slash). */
char *kc_path_join(const char *a, const char *b);
void kc_closep(int *fd); /* for KC_CLEANUP: closes *fd if >= 0 */
