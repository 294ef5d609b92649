/* What a tree takes of a disk. */
#pragma once

#include <stdint.h>

/* Bytes of the blocks of everything at and below path, as du: links are not followed, other file systems not entered, a
 * file with several names counts once. Containers may change the tree meanwhile, and nest it as deep as they like; what
 * comes or goes may count or not. Blocking, any thread.
 * 0; -ENOENT; -EAGAIN: directories were moved meanwhile; -E2BIG: more names than are kept in memory (64 MiB). */
int kc_disk_usage(const char *path, uint64_t *ret);
